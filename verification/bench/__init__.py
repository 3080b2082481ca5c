"""Benchmarks, each beside the floor that bounds it."""
