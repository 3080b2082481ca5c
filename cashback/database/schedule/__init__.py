"""The weekly batch: the schedule in force, its slots, and what became of them."""
