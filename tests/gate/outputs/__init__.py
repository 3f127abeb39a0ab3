"""Tests of `gate.outputs`."""
