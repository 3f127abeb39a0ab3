"""The command `convbench gate`."""
