"""Faults put into whole runs: whatever strikes one task, the others are measured and kept."""
