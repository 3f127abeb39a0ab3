"""What the gate found: in sentences, on the terminal, in files."""
