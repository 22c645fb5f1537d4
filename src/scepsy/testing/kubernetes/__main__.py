"""`python -m scepsy.testing.kubernetes`: a shell in which kubectl reaches a cluster of processes.

Run it by `scripts/kubernetes/in_namespace.sh`, which makes the addresses of pods local.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from scepsy.errors import ScepsyError
from scepsy.testing.kubernetes.cluster import kubernetes_cluster
from scepsy.testing.kubernetes.node_objects import NodeSpec


def main() -> None:
    parser = argparse.ArgumentParser(prog="scepsy.testing.kubernetes", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2, help="nodes with GPUs: n0, n1, ...")
    parser.add_argument("--gpus", type=int, default=2, help="GPUs of each node")
    parser.add_argument("--shares", type=int, default=1, help="MPS shares of each GPU")
    parser.add_argument("command", nargs="*", help="what to run  [default: a shell]")
    options = parser.parse_args()
    nodes = [NodeSpec(name="cpu", gpus=0, subnet="10.88.100")]
    for index in range(options.nodes):
        subnet, shares = f"10.88.{index}", int(options.shares)
        spec = NodeSpec(name=f"n{index}", gpus=options.gpus, shares=shares, subnet=subnet)
        nodes.append(replace(spec, tainted=True))
    with tempfile.TemporaryDirectory(prefix="scepsy-kubernetes-") as folder:
        try:
            with kubernetes_cluster(Path(folder) / "cluster", nodes) as cluster:
                command = options.command or [os.environ.get("SHELL", "/bin/sh")]
                env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
                sys.exit(subprocess.run(command, env=env, check=False).returncode)
        except ScepsyError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
