"""Starts other programs, and ends them whatever happens."""
