"""Wallets: their entries, withdrawals and adjustments. Each change of a balance is one transaction that stays."""
