"""The books: what was done by whom, the proof that everything adds up, and copies of the file."""
