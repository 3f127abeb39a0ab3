"""The version of convbench."""

__version__ = "0.1.0"
