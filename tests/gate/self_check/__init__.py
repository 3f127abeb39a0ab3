"""Tests of `gate.self_check`."""
