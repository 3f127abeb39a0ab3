"""convbench: the networks of the papers, proven and timed in PyTorch and Keras."""

__version__ = "0.1.0"
