"""Follows any PyTorch module and writes down what it computes."""
