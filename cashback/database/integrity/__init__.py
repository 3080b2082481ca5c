"""The ledger's integrity: the audit log, reconciliation, and copies of the file."""
