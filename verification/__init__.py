"""Proofs from the outside: simulation, crashes, fuzzing and benchmarks. Nothing of the product imports it."""
