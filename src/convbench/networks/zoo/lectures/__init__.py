"""Networks of lectures and of library examples."""
