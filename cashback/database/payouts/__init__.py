"""Batches and their payouts: from the plan to the credit, and what is told about it."""
