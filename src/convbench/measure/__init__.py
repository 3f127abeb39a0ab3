"""Times one task in a process of its own, and keeps every round."""
