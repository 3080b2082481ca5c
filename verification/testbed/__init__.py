"""Shared by the verification tools: databases to run on and a cache of compiled statements."""
