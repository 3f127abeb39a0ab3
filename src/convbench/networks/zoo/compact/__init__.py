"""Networks for small devices, and those that a search found."""
