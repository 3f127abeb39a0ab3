"""Explains how anybody's model differs from a paper's network, to the last parameter."""
