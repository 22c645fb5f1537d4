"""`python -m scepsy` is the `scepsy` command."""

from scepsy.cli.main import main

main()
