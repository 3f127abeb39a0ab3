"""Tests of `front.plugin`."""
