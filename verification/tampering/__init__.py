"""What an editor with SQL can do to a ledger, and what finds it."""
