"""Tests of `frameworks.keras`."""
