"""Queries for display and export: pages of lists, sums and files. They write nothing to the ledger."""
