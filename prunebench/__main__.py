"""`python -m prunebench` is the command `prunebench`."""

from prunebench.cli import main

main()
