"""`scepsy profiles`: lists, compares and draws profiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from scepsy.cli.output import console, emit_json, json_option, seconds, table
from scepsy.core.plan import size_name
from scepsy.core.profile import Profile, ProfilePoint
from scepsy.planning.provenance import key_of, merge
from scepsy.profiler.compare import Difference, differences, per_gpu
from scepsy.store import read_profile
from scepsy.store.files import write_atomic


@click.command("profiles")
@click.argument(
    "paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path),
    help="Draw the profiles into this HTML file.",
)
@json_option
def command(paths: tuple[Path, ...], html_path: Path | None, as_json: bool) -> None:
    """List the curves of each FILE, and compare those of the same LLM, workflow and size: measured
    with estimated, one TP degree with another.
    """
    profiles = [(path.name, read_profile(path)) for path in paths]
    apart = differences(profiles)
    if html_path is not None:
        from scepsy.report.profiles import render

        write_atomic(html_path, render(profiles).encode())
    if as_json:
        best = merge(profile for _, profile in profiles)
        emit_json({"profiles": dict(profiles), "differences": apart, "planned_with": best})
        return
    screen = console()
    for name, profile in profiles:
        print_curves(name, profile, screen)
    if apart:
        print_differences(apart, screen)
    if html_path is not None:
        click.echo(f"drawn in {html_path}")


def print_curves(name: str, profile: Profile, screen: Console) -> None:
    """A line for each curve."""
    efficiency = per_gpu(profile)
    rows = [
        (
            curve.llm,
            curve.workflow,
            size_name(curve.tp, curve.gpu_share),
            curve.source,
            f"±{curve.error:.0%}" if curve.estimated else _noise(curve.points),
            f"{curve.max_throughput:.3g}/s",
            f"{efficiency[key_of(curve)]:.0%}" if key_of(curve) in efficiency else "-",
            seconds(curve.points[0].latency),
            seconds(curve.points[-1].latency),
            f"{curve.engine}, {curve.gpu_type}",
        )
        for curve in profile.curves
    ]
    columns = ("LLM", "calls of", "size", "source", "error", "saturates at", "per GPU")
    columns += ("idle latency", "near saturation", "engine, GPU")
    screen.print(table(name, columns, rows))


def print_differences(apart: tuple[Difference, ...], screen: Console) -> None:
    """A line for each pair of curves of the same thing."""
    rows = [
        (
            f"{one.llm} {one.size}",
            one.workflow,
            f"{one.other} against {one.one}",
            f"{one.throughput:+.1%}",
            f"{one.latency:.1%}",
            f"{one.latency_most:.1%}",
            "yes" if one.within else "no",
        )
        for one in apart
    ]
    columns = ("LLM", "calls of", "which", "throughput", "latency apart", "at most", "as stated")
    screen.print(table("The same, twice", columns, rows))


def _noise(points: Sequence[ProfilePoint]) -> str:
    return f"±{max(point.noise / point.latency for point in points):.1%}"
