"""Tests of `measure.machine`."""
