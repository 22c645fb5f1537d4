"""`scepsy cluster discover`: which GPUs there are, and which of them others use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from scepsy.cli.gpu_sources import found_by_kubernetes, found_by_nvidia_smi, found_by_ray
from scepsy.cli.output import console, emit_json, json_option, table
from scepsy.discover import Described, FoundNode, describe
from scepsy.errors import BadInput
from scepsy.report.wording import count
from scepsy.store import cluster_toml, write_atomic


@click.group("cluster")
def command() -> None:
    """Clusters: the machines and GPUs that a plan may use."""


@command.command("discover", short_help="Write a cluster file of the GPUs that there are.")
@click.option("--nvidia-smi", "by_nvidia_smi", is_flag=True, help="Ask nvidia-smi.")
@click.option("--ray", "ray_address", metavar="ADDRESS", help="Ask the Ray cluster at ADDRESS.")
@click.option("--kubernetes", "by_kubernetes", is_flag=True, help="Ask a Kubernetes API server.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig, with --kubernetes.")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="[NODE=]FILE",
    help="With --nvidia-smi: what `nvidia-smi -q -x; nvidia-smi topo -m` printed on the machine "
    "NODE, which is by default the name of the file. With --kubernetes: what `kubectl get nodes,"
    "pods -A -o json` printed. May be repeated.  [default: nvidia-smi or the API server is asked]",
)
@click.option(
    "--rack",
    "racks",
    multiple=True,
    metavar="NODE=RACK",
    help="Rack in which a node stands. May be repeated.",
)
@click.option(
    "--rack-label", metavar="KEY", help="Label of Ray or Kubernetes whose value is a node's rack."
)
@click.option("--gpu-type", metavar="TYPE", help="Describe GPUs of this type only, as in h100.")
@click.option(
    "--gpu-memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="BYTES",
    help="Memory of one GPU in bytes.  [default: what is found, else the nominal size of its type]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("cluster.toml"),
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@json_option
def discover(
    by_nvidia_smi: bool,
    ray_address: str | None,
    by_kubernetes: bool,
    context: str | None,
    sources: tuple[str, ...],
    racks: tuple[str, ...],
    rack_label: str | None,
    gpu_type: str | None,
    gpu_memory: float | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Find out which GPUs there are and which of them others use, and write a cluster file.

    \b
      scepsy cluster discover --nvidia-smi                       # this machine
      ssh n1 'nvidia-smi -q -x; nvidia-smi topo -m' > n1.txt
      scepsy cluster discover --nvidia-smi --from n1.txt --from n2.txt
      scepsy cluster discover --ray 10.0.0.1:6379
      scepsy cluster discover --kubernetes --context gpu-cluster
    """
    if (by_nvidia_smi, ray_address is not None, by_kubernetes).count(True) != 1:
        raise BadInput("say what to ask: one of --nvidia-smi, --ray ADDRESS and --kubernetes")
    if context is not None and not by_kubernetes:
        raise BadInput("--context is a context of a kubeconfig, for --kubernetes")
    if sources and ray_address is not None:
        raise BadInput("--from is for --nvidia-smi and --kubernetes; --ray asks a running cluster")
    if out.exists() and not force:
        raise BadInput(f"{out}: there is such a file already; replace it with --force")
    if by_nvidia_smi:
        found, asked = found_by_nvidia_smi(sources), "nvidia-smi"
    elif by_kubernetes:
        found, asked = found_by_kubernetes(sources, context, rack_label), "Kubernetes"
    else:
        found, asked = found_by_ray(str(ray_address), rack_label), "Ray"
    found = _racked(found, racks)
    described = describe(found, gpu_type=gpu_type, gpu_memory=gpu_memory)
    write_atomic(out, cluster_toml(described.cluster, _comments(described, asked)).encode())
    if as_json:
        emit_json({"file": str(out), "cluster": described.cluster, "notes": described.notes})
    else:
        print_cluster(described)
        click.echo(f"written to {out}")


def _comments(described: Described, asked: str) -> list[str]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    return [f"Made on {now} UTC by `scepsy cluster discover` from {asked}.", *described.notes]


def print_cluster(described: Described) -> None:
    """A row for each node, then the notes."""
    cluster = described.cluster
    title = f"{count(cluster.gpus, 'free GPU')}, {cluster.gpu_memory / 1e9:.1f} GB each"
    rows = [
        (
            node.name,
            f"{node.gpus} x {node.gpu_type}",
            f"{len(node.free)}",
            f"{min(node.domain_size, node.gpus)}",
            node.rack or "-",
        )
        for node in cluster.nodes
    ]
    screen = console()
    screen.print(table(title, ("node", "GPUs", "free", "NVLink domain", "rack"), rows))
    for note in described.notes:
        screen.print(note, markup=False)


def _racked(nodes: Sequence[FoundNode], given: Sequence[str]) -> tuple[FoundNode, ...]:
    """The nodes, with the racks that options give."""
    racks = dict[str, str]()
    for text in given:
        node, _, rack = text.partition("=")
        if not node or not rack:
            raise BadInput(f"--rack {text!r}: write NODE=RACK")
        racks[node] = rack
    if unknown := sorted(set(racks) - {node.name for node in nodes}):
        known = ", ".join(node.name for node in nodes)
        raise BadInput(f"--rack {unknown[0]}: there is no such node; nodes with GPUs are {known}")
    return tuple(replace(node, rack=racks.get(node.name, node.rack)) for node in nodes)
