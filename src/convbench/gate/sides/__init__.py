"""Base and head: what they are, and how they are installed."""
