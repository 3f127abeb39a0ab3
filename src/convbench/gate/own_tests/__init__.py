"""The user's own pytest-benchmark tests as what is compared."""
