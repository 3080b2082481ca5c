"""What the command line does and says. `cli.py` alone imports it."""
