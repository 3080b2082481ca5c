"""What the bot posts by itself: summaries kept up to date, the audit channel, direct messages."""
