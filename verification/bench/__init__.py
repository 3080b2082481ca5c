"""Benchmarks, each compared with a raw baseline."""
