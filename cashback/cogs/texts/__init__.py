"""What people read on Discord: pure functions from facts to embeds."""
