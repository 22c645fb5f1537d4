"""`python -m scepsy` is the `scepsy` command."""

import sys

try:
    from scepsy.cli.main import main
except KeyboardInterrupt:  # Ctrl-C while the modules are imported, as in a command later
    sys.exit(130)

main()
