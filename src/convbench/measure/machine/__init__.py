"""The machine: processors, memory, GPUs, and what a run records of them."""
