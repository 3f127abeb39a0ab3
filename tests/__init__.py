"""The tests of convbench."""
