"""Proof under fire: real processes pay real files, and are ended by SIGKILL or get in each other's way."""
