"""A gateway as a process: `python -m scepsy.gateway --config FILE`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from scepsy.engines.procfs import end_with_parent
from scepsy.errors import ScepsyError
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.governed import GovernedGateway
from scepsy.gateway.processes.serving import serve_processes
from scepsy.gateway.server import run, serve
from scepsy.store import read_record


def main() -> None:
    """Prints its address when it is ready; ends on SIGTERM or SIGINT with exit code 0."""
    parser = argparse.ArgumentParser(prog="scepsy.gateway", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="a GatewayConfig as JSON")
    parser.add_argument(
        "--exit-with-parent", type=int, metavar="PID", help="end when our parent, PID, does"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if options.exit_with_parent is not None:
        end_with_parent(options.exit_with_parent)
    try:
        config = read_record(options.config, GatewayConfig)
        if config.processes == 1:
            run(serve(config, on_ready=_announce, orphaned=lambda: _orphaned(options)))
        else:
            run(serve_processes(config, on_ready=_announce))
    except ScepsyError as error:
        sys.stderr.write(f"scepsy.gateway: {error}\n")
        sys.exit(error.exit_code)


def _orphaned(options: argparse.Namespace) -> bool:
    return options.exit_with_parent is not None and os.getppid() != options.exit_with_parent


def _announce(gateway: GovernedGateway) -> None:
    sys.stdout.write(f"listening on {gateway.url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
