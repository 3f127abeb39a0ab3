"""What people type: the command line and the pytest plugin. Nothing imports it."""
