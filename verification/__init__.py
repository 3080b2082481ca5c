"""Verification from outside: simulation, crashes, fuzzing and benchmarks. No part of the product imports it."""
