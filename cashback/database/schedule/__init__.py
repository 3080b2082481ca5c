"""The weekly batch: the schedule in force, its slots, and their outcomes."""
