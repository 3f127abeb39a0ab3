"""Tests of `frameworks`."""
