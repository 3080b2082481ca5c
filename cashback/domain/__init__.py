"""The facts, states, errors and ports that every layer shares. Imports nothing else of the program."""
