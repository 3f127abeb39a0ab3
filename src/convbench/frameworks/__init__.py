"""The seam to PyTorch and Keras: one protocol, and the same file names on both sides."""
