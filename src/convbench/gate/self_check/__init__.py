"""How often the gate errs on this machine, beside other tools' rules."""
