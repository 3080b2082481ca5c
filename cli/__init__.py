"""The command line: what `cashback` and its commands do and print."""

from cashback import early_start  # noqa: F401 -- it receives the stop signals of `cashback bot` during the imports
