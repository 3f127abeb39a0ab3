"""Tests of `measure.worker`."""
