"""The command line: what `cashback` and its commands do and print."""
