"""Tests of `frameworks.pytorch`."""
