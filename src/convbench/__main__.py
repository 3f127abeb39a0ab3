"""`python -m convbench`: the command line."""

from convbench.front.cli.main import main

main()
