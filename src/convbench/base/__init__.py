"""Knows nothing of networks: errors, units, statistics, text tables, files, importing by name."""
