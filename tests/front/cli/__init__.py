"""Tests of `front.cli`."""
