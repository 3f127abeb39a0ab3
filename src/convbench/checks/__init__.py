"""Whether a model is the paper's: structure by counting, parity by numbers, and explain."""
