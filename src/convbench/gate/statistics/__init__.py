"""The tests of the gate: pure numbers, with a stated chance of error."""
