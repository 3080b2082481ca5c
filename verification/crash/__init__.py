"""Crash tests: real processes pay real files, and are killed by SIGKILL or compete with each other."""
