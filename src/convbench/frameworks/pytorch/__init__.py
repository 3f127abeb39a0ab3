"""Networks as native PyTorch modules."""
