"""The shop systems, one module for each."""
