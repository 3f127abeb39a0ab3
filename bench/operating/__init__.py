"""Operating curves of the gate: simulated machines, and how often it errs on them."""
