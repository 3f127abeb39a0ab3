"""Tests of `gate.own_tests`."""
