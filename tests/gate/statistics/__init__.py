"""Tests of `gate.statistics`."""
