"""The connection to Discord, and requests about members."""
