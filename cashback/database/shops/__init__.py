"""Shops: their deliveries, and whose purchases these are."""
