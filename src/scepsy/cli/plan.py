"""`scepsy plan`: computes a plan, prints it with its reasons, and writes it to a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from scepsy.cli.descriptions import cluster_of, llms_of
from scepsy.cli.inputs import (
    cluster_option,
    known_llms_option,
    out_option,
    parse_targets,
    stand_in_option,
    traces_of,
)
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import bar, console, emit_json, json_option, seconds, table
from scepsy.cli.plan_types import FEWEST, GpuCount, Limit, Percentage
from scepsy.cli.share_options import check_share_options, warn_of_shared_groups
from scepsy.cli.terminal import echo
from scepsy.core.llm import EngineKind
from scepsy.core.plan import Finalist, FrontPoint, Infeasible, Plan, WorkflowPrediction
from scepsy.core.profile import Profile
from scepsy.engines import engine_for
from scepsy.errors import BadInput, ScepsyError, Unmeetable
from scepsy.planning.allocation_text import describe
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.planner import plan
from scepsy.planning.provenance import elsewhere, merge
from scepsy.planning.simulation import SimulationOptions
from scepsy.planning.tolerance import DEFAULT_TOLERANCE
from scepsy.predict.headroom import headroom
from scepsy.profiler.machine import machine
from scepsy.report import wording
from scepsy.report.first_screen import pace_notes
from scepsy.store import read_profile, write_record

NOISE = "\u00b1: standard error of the difference from the chosen plan, in the same simulated runs"
FASTER_SHOWN = 0.001
"""Relative reduction of latency that a point of the front needs to get a row in the table: smaller
ones are not visible in the printed digits.
"""


@click.command("plan")
@click.option(
    "--traces",
    "traces_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Trace directory.",
)
@click.option(
    "--profile",
    "profile_paths",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="Profile, JSON; give several, and measured curves replace estimated ones.",
)
@cluster_option
@known_llms_option
@stand_in_option
@click.option(
    "--target",
    "target_texts",
    multiple=True,
    required=True,
    metavar="WORKFLOW=RATE[*WEIGHT]",
    help="Runs per second that a workflow must sustain; give one for each workflow.",
)
@click.option(
    "--share-step",
    type=FiniteRange(0.01, 1.0),
    default=0.1,
    show_default=True,
    help="Grain of a GPU share; 1 divided by it must be whole. Only where the cluster does not say "
    "what shares its nodes give (`shares_per_gpu`).",
)
@click.option(
    "--tolerance",
    type=Percentage(),
    default=f"{DEFAULT_TOLERANCE:.0%}",
    show_default=True,
    help="How much slower than the fastest plan the plan may be, to use fewer GPUs; 0: not at all.",
)
@click.option(
    "--gpus",
    type=GpuCount(),
    metavar="N|fewest",
    help="Use at most N GPUs of the cluster, or the fewest that keep to --within.",
)
@click.option(
    "--within",
    "limits",
    type=Limit(),
    multiple=True,
    metavar="[mean=|p90=|p99=]LATENCY",
    help="With --gpus fewest: the mean latency (or a quantile, by simulation) that every workflow "
    "must keep to, like 5s or p99=8s; repeatable.",
)
@click.option(
    "--fast",
    is_flag=True,
    help="Do not simulate the best few plans; the prediction alone decides.",
)
@click.option(
    "--share-groups",
    is_flag=True,
    help="Parts of TP groups too, where the profile has them (nobody has measured such engines).",
)
@out_option("plan.json")
@json_option
def command(
    traces_path: Path,
    profile_paths: tuple[Path, ...],
    cluster_path: Path,
    llms_path: Path | None,
    stand_ins: tuple[str, ...],
    target_texts: tuple[str, ...],
    share_step: float,
    tolerance: float,
    gpus: int | str | None,
    limits: tuple[LatencyLimit, ...],
    fast: bool,
    share_groups: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Decide GPU share, tensor-parallel degree, replicas and place of every LLM, for least mean
    workflow latency at the target rates. GPUs that bring less than --tolerance are left free.
    """
    check_limits(gpus, limits, fast=fast)
    cluster, targets = cluster_of(cluster_path), parse_targets(target_texts)
    check_share_options(cluster, share_groups=share_groups)
    profile = merge(read_profile(path) for path in profile_paths)
    traces, wanted = traces_of(traces_path), {target.workflow for target in targets}
    llms = llms_of(llms_path, stand_ins, [one for one in traces if one.workflow in wanted])
    for warning in elsewhere(profile, machine(), versions(profile)):
        echo(f"warning: {warning}", err=True)
    if share_groups:
        warn_of_shared_groups(profile)
    with bar("simulating the best plans", quiet=as_json or fast) as progress:
        simulate = None if fast else SimulationOptions(progress=progress)
        decided = plan(
            traces,
            profile,
            llms,
            cluster,
            targets,
            share_step=share_step,
            share_groups=share_groups,
            simulate=simulate,
            tolerance=tolerance,
            gpus=gpus if isinstance(gpus, int) else None,
            within=limits,
        )
    if isinstance(decided, Infeasible) and decided.binding == "latency":
        raise Unmeetable(f"no plan keeps to --within: {decided.reason}")
    if isinstance(decided, Infeasible):
        raise Unmeetable(f"no plan meets the targets ({decided.binding}): {decided.reason}")
    write_record(out, decided)
    if as_json:
        emit_json(decided)
    else:
        print_plan(decided, console())
        echo(f"\nwritten to {out}; start it with: scepsy deploy {out} --on local")


def check_limits(gpus: int | str | None, limits: Sequence[LatencyLimit], *, fast: bool) -> None:
    """Raises BadInput if only one of `--gpus fewest` and `--within` is given, or if --fast excludes
    the simulation that a limit needs.
    """
    if gpus == FEWEST and not limits:
        raise BadInput("--gpus fewest needs the latency to keep to: add --within 5s")
    if limits and gpus != FEWEST:
        raise BadInput("--within goes with --gpus fewest")
    simulated = [limit for limit in limits if limit.simulated]
    if fast and simulated:
        raise BadInput(
            f"--within {simulated[0].statistic}=... needs the simulation: leave out --fast"
        )


def versions(profile: Profile) -> dict[str, str]:
    """By kind of engine, name and version of those installed here that the profile was measured
    on.
    """
    measured_on = {curve.engine.split(" ")[0] for curve in profile.curves}
    found: dict[str, str] = {}
    for kind in get_args(EngineKind):
        with suppress(ScepsyError):  # an engine that is not installed has no version
            if kind in measured_on:
                found[kind] = f"{kind} {engine_for(kind).version()}"
    return found


def print_plan(decided: Plan, screen: Console) -> None:
    """Prints the allocation, the prediction, latency against GPUs, and the reasons."""
    places: dict[str, list[str]] = {}
    for replica in decided.placement.replicas:
        gpus = ",".join(str(part.gpu) for part in replica.slices)
        places.setdefault(replica.llm, []).append(f"{replica.slices[0].node}/{gpus}")
    rows = [
        (
            part.llm,
            describe(part),
            f"{part.gpus:.4g}",
            f"{part.memory_share:.0%}",
            f"{decided.prediction.utilisation[part.llm]:.0%}",
            " ".join(places[part.llm]),
        )
        for part in decided.allocation.llms
    ]
    total = (
        f"{decided.placement.gpus} of {decided.cluster.gpus} GPUs, "
        f"{decided.allocation.gpus:.4g} of their compute"
    )
    screen.print(
        table(
            f"Allocation: {total}",
            ("LLM", "replicas", "GPUs", "memory", "capacity used", "where"),
            rows,
        )
    )
    screen.print(f"- {wording.CAPACITY_USED}")
    predicted = [
        (
            flow.workflow,
            f"{flow.target_rate:.3g}/s",
            f"{flow.throughput:.3g}/s",
            seconds(flow.latency_mean),
            interval(flow),
            seconds(flow.latency_p99),
            flow.bottleneck,
        )
        for flow in decided.prediction.workflows
    ]
    screen.print(
        table(
            "Prediction",
            (
                "workflow",
                "target",
                "saturates at",
                "mean latency",
                "90% interval of the mean",
                "p99",
                "bottleneck",
            ),
            predicted,
        )
    )
    for sentence in pace_notes(decided, decided.time_scale):
        screen.print(f"- {sentence}")
    print_front(decided, screen)
    print_explanation(decided, screen)


def print_front(decided: Plan, screen: Console) -> None:
    """Prints latency against GPUs, with the chosen plan marked."""
    points = shown(decided.explanation.front)
    if len(points) < 2:
        return
    rows = [
        (
            f"{point.gpus}",
            f"{point.gpu_shares:.4g}",
            seconds(point.objective),
            f"{point.objective / points[-1].objective - 1:+.1%}",
            f"{wording.TIMES} {point.headroom:.2f}",
            "this plan" if point.chosen else "",
        )
        for point in points
    ]
    heads = ("GPUs", "of their compute", latency_name(decided), "slower", "rates may grow", "")
    screen.print(table("Latency against GPUs", heads, rows))


def shown(front: Sequence[FrontPoint]) -> list[FrontPoint]:
    """The first, the last and the chosen point, and those that are faster than the one before by at
    least `FASTER_SHOWN`.
    """
    found: list[FrontPoint] = []
    for point in front:
        faster = not found or point.objective < (1 - FASTER_SHOWN) * found[-1].objective
        if faster or point.chosen or point is front[-1]:
            found.append(point)
    return found


def latency_name(decided: Plan) -> str:
    """The name of the objective."""
    if len(decided.targets) == 1:
        return "mean latency"
    if all(target.weight == 1 for target in decided.targets):
        return "sum of mean latencies"
    return "weighted sum of mean latencies"


def interval(flow: WorkflowPrediction) -> str:
    """The 90% interval of the mean; empty where there is none."""
    if flow.latency_low is None or flow.latency_high is None:
        return wording.DASH
    return f"{seconds(flow.latency_low)} to {seconds(flow.latency_high)}"


def ranked(one: Finalist) -> tuple[str, ...]:
    """The row of a finalist: its latency by each predictor."""
    noise = "" if one.noise is None else f" \u00b1 {seconds(one.noise)}"
    return (one.note, *map(seconds, (one.pipeline, one.replay)), seconds(one.simulated) + noise)


def print_explanation(decided: Plan, screen: Console) -> None:
    """Prints why this plan was chosen, and the other plans that were considered."""
    if decided.explanation.finalists:
        heads = ("plan", "pipeline", "replay", "simulated")
        title = f"{latency_name(decided).capitalize()} by each predictor"
        screen.print(table(title, heads, map(ranked, decided.explanation.finalists)))
        if any(one.noise is not None for one in decided.explanation.finalists):
            screen.print(f"- {NOISE}")
    room = headroom(decided.prediction)
    screen.print(
        "- headroom, all workflows together: the target rates may grow "
        f"{wording.factor(room.factor)} before {room.llm or 'an LLM'} saturates"
    )
    for sentence in decided.explanation.summary:
        screen.print(f"- {sentence}")
    for other in decided.explanation.runners_up:
        screen.print(f"- runner-up, {other.note}")
    for skipped in decided.explanation.skipped[:5]:
        screen.print(f"- skipped: {skipped}")
    if len(decided.explanation.skipped) > 5:
        screen.print(f"- and {len(decided.explanation.skipped) - 5} more skipped (see --json)")
