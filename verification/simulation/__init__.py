"""The whole program on a virtual clock and one seeded source of randomness: a failing seed is its own reproduction."""
