"""The Discord side: commands, buttons, embeds, direct messages, announcements. No rule of the money is here."""
