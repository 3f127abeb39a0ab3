"""Tests of `gate.sides`."""
