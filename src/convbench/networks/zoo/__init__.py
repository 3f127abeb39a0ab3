"""Each network, described once, under its name."""
