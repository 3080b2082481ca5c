"""The whole program on a virtual clock and one seeded source of chance: a seed that fails is its own reproduction."""
