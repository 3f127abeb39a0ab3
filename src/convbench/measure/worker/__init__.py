"""The process that runs a network: what it is asked, and what it answers."""
