"""Tests of `measure`."""
