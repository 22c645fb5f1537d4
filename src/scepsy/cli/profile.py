"""`scepsy profile`: measures the LLMs' engines by replaying traced calls."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from scepsy.cli.descriptions import cluster_of
from scepsy.cli.inputs import (
    cluster_option,
    llms_option,
    only,
    out_option,
    parse_mix,
    state_directory,
    traces_of,
    workflow_option,
)
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import console, emit_json, json_option, seconds, table
from scepsy.cli.profiling import progress
from scepsy.cli.terminal import echo
from scepsy.core.plan import size_name
from scepsy.core.profile import Profile
from scepsy.curves.jobs import DEFAULT_SHARES, jobs
from scepsy.curves.rounds import ReplayUnit
from scepsy.engines import EngineOptions
from scepsy.errors import BadInput
from scepsy.profiler import ProfileSetup, RoundLog, SweepSettings, profile
from scepsy.profiler.replay.schedule import Gaps
from scepsy.report import wording
from scepsy.store import read_llms, write_record
from scepsy.traces.lengths import with_lengths


@click.command("profile")
@click.argument("traces_path", metavar="TRACES", type=click.Path(path_type=Path))
@cluster_option
@llms_option
@out_option("profile.json")
@workflow_option
@click.option(
    "--shares",
    default=",".join(map(str, DEFAULT_SHARES)),
    show_default=True,
    help="GPU shares to measure at TP1. Shares between them are interpolated.",
)
@click.option(
    "--share-groups",
    is_flag=True,
    help="Also measure shares of TP groups, for `scepsy plan --share-groups`.",
)
@click.option(
    "--budget",
    type=FiniteRange(5),
    default=60.0,
    show_default=True,
    help="Seconds to measure each engine. Engines that decide most of the latency get twice that.",
)
@click.option(
    "--gaps",
    type=click.Choice(["poisson", "recorded"]),
    default="poisson",
    show_default=True,
    help="Times between arrivals: random, or those in TRACES scaled to the rate.",
)
@click.option(
    "--replay",
    type=click.Choice(["runs", "bursts"]),
    default="runs",
    show_default=True,
    help="What arrives: runs, each of which waits for its own calls, or single bursts of calls.",
)
@click.option(
    "--max-rate",
    type=FiniteRange(0.1),
    default=200.0,
    show_default=True,
    help="Highest rate to offer, in calls per second.",
)
@click.option(
    "--mix",
    "mix_texts",
    multiple=True,
    metavar="WORKFLOW=RATE",
    help="How often runs of each workflow come, for LLMs that several call.  [default: alike]",
)
@click.option(
    "--parallel",
    type=click.IntRange(1),
    default=None,
    help="Engines to measure at the same time.  [default: as many as the GPUs hold]",
)
@click.option(
    "--time-scale",
    type=FiniteRange(0.01, 1000),
    default=1.0,
    show_default=True,
    help="How much faster than the real GPU an emulated engine runs.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of emulated engines.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=None,
    help="State directory of deployments. Emulated engines count memory on its GPUs.  "
    "[default: $SCEPSY_STATE or ~/.local/state/scepsy]",
)
@json_option
def command(
    traces_path: Path,
    cluster_path: Path,
    llms_path: Path,
    out: Path,
    workflows: tuple[str, ...],
    shares: str,
    share_groups: bool,
    budget: float,
    gaps: Gaps,
    replay: ReplayUnit,
    max_rate: float,
    mix_texts: tuple[str, ...],
    parallel: int | None,
    time_scale: float,
    seed: int,
    state: Path | None,
    as_json: bool,
) -> None:
    """Replay the calls in TRACES against each LLM's engine, open-loop, for every TP degree and GPU
    share that a plan could use.

    The rates are chosen one after another: first those that show where the engine saturates, then
    those at which the curve is least certain. What was measured is kept in OUT.partial.jsonl until
    the profile is complete; after Ctrl-C the same command goes on from there.
    """
    traces = only(traces_of(traces_path), workflows)
    mix = parse_mix(mix_texts, {trace.workflow for trace in traces})
    cluster, llms = cluster_of(cluster_path), read_llms(llms_path)
    traces, notes = with_lengths(traces, llms)
    for note in notes:
        echo(f"warning: {note}", err=True)
    todo = jobs(traces, llms, cluster, parse_shares(shares), share_groups=share_groups)
    partial = out.with_name(out.name + ".partial.jsonl")
    settings = SweepSettings(budget=budget, max_rate=max_rate, gaps=gaps, replay=replay)
    with (
        tempfile.TemporaryDirectory(prefix="scepsy-profile-") as logs,
        RoundLog(partial) as journal,
        progress(todo, quiet=as_json) as report,
    ):
        options = EngineOptions(seed=seed, time_scale=time_scale, exit_with_parent=True)
        setup = ProfileSetup(
            traces, cluster, settings, options, Path(logs), state_directory(state), report, mix
        )
        try:
            measured = asyncio.run(profile(todo, setup, journal, parallel=parallel))
        except KeyboardInterrupt:
            echo(f"\ninterrupted: {goes_on(partial)}", err=True)
            raise
        write_record(out, measured)
        journal.remove()
    if as_json:
        emit_json(measured)
    else:
        print_profile(measured, console())
        for note in lower_bounds(measured, max_rate):
            echo(note)
        echo(f"written to {out}")


def goes_on(partial: Path) -> str:
    """What an interrupted measurement leaves, and how to go on."""
    if not partial.exists() or not partial.stat().st_size:
        return "nothing was measured yet; the same command starts again"
    return f"what was measured is in {partial}; the same command goes on from there"


def parse_shares(text: str) -> tuple[float, ...]:
    """Comma-separated shares in (0, 1]. Raises BadInput."""
    try:
        shares = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise BadInput(f"--shares {text!r}: write numbers, as in 0.25,0.5,1") from None
    if not shares or shares[0] <= 0 or shares[-1] > 1:
        raise BadInput(f"--shares {text!r}: each must be above 0 and at most 1")
    return shares


def lower_bounds(measured: Profile, max_rate: float) -> Iterator[str]:
    """A sentence on the curves that end at the highest rate that was offered."""
    near = [one for one in measured.curves if one.at_least]
    sizes = dict.fromkeys(f"{one.llm} at {size_name(one.tp, one.gpu_share)}" for one in near)
    if sizes:
        yield (
            f"note: {', '.join(sizes)}: no more than {max_rate:g} calls/s were offered, so the "
            "engine may saturate later than shown; if a plan names such an LLM as the bottleneck, "
            "profile again with a higher --max-rate"
        )


def print_profile(measured: Profile, screen: Console) -> None:
    """One line per curve: throughput, and latency from idle to near saturation."""
    rows = [
        (
            curve.llm,
            curve.workflow,
            size_name(curve.tp, curve.gpu_share),
            f"{wording.digits(curve.max_throughput)}/s",
            seconds(curve.points[0].latency),
            seconds(curve.points[-1].latency),
            f"{max(p.noise / p.latency for p in curve.points):.1%}",
        )
        for curve in measured.curves
    ]
    columns = ("LLM", "calls of", "size", "saturates at", "idle latency", "near it", "worst noise")
    screen.print(table("Profile", columns, rows))
