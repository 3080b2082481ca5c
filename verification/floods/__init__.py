"""Floods against the running bot, while a shop reports and a batch pays: `make floods`."""
