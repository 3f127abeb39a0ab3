"""`python -m convbench`: the command line."""

from convbench.cli import main

main()
