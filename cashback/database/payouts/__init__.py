"""Batches and their payouts: from the plan to the credit, and the messages about it."""
