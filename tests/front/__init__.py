"""Tests of `front`."""
