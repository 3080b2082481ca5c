"""The documentation's pictures, taken from the local Discord's chat page. `make pictures` takes them again."""
