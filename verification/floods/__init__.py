"""Floods against the running bot, beside a shop that reports and a batch that pays: `make floods`."""
