"""The connection to Discord, and what is asked of it about people."""
