"""What the proofs share: databases to run on and a cache of compiled statements."""
