"""`scepsy estimate`: profiles of GPUs that are not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from scepsy.cli.descriptions import cluster_of, llms_of
from scepsy.cli.inputs import (
    cluster_option,
    known_llms_option,
    only,
    out_option,
    parse_mix,
    stand_in_option,
    traces_of,
    workflow_option,
)
from scepsy.cli.output import PlainConsole, console, emit_json, json_option
from scepsy.cli.profile import parse_shares, print_profile
from scepsy.cli.terminal import echo
from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve, Profile
from scepsy.core.trace import Trace
from scepsy.curves.jobs import DEFAULT_SHARES, jobs
from scepsy.errors import BadInput
from scepsy.estimate.correct import correct
from scepsy.estimate.curves import estimate
from scepsy.estimate.step_times.fitted import FittedSteps, fitted
from scepsy.estimate.step_times.sources import SOURCES, StepSource, steps_from
from scepsy.estimate.step_times.steps import StepTimes
from scepsy.planning.provenance import key_of
from scepsy.profiler import Job
from scepsy.store import read_profile, write_record
from scepsy.traces.context import context_limits, refuse_long_calls
from scepsy.traces.lengths import with_lengths


@click.command("estimate")
@click.argument("traces_path", metavar="TRACES", type=click.Path(path_type=Path))
@cluster_option
@known_llms_option
@stand_in_option
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="auto",
    show_default=True,
    help="Source of step times: a measured table, aiconfigurator's oracle, the shipped roofline, "
    "or (auto) the first of these that is there.",
)
@click.option(
    "--table",
    "table_path",
    type=click.Path(path_type=Path),
    help="Table of measured steps, CSV (docs/how-it-works/estimates.md).",
)
@click.option(
    "--measured",
    "measured_path",
    type=click.Path(path_type=Path),
    help="A profile whose points correct the estimates of the same LLM, workflow and size.",
)
@click.option(
    "--steps",
    "steps_path",
    type=click.Path(path_type=Path),
    help="A profile of other workflows, whose step times are used.",
)
@workflow_option
@click.option(
    "--shares",
    default=",".join(map(str, DEFAULT_SHARES)),
    show_default=True,
    help="GPU shares to estimate at TP1. Shares between them are interpolated.",
)
@click.option(
    "--share-groups",
    is_flag=True,
    help="Also estimate shares of TP groups, for `scepsy plan --share-groups`.",
)
@click.option(
    "--mix",
    "mix_texts",
    multiple=True,
    metavar="WORKFLOW=RATE",
    help="How often runs of each workflow come, for LLMs that several call.  [default: alike]",
)
@out_option("profile.json")
@json_option
def command(
    traces_path: Path,
    cluster_path: Path,
    llms_path: Path | None,
    stand_ins: tuple[str, ...],
    source: StepSource,
    table_path: Path | None,
    measured_path: Path | None,
    steps_path: Path | None,
    workflows: tuple[str, ...],
    shares: str,
    share_groups: bool,
    mix_texts: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Serve the calls in TRACES in simulated time, for every TP degree and GPU share that a plan
    could use: a profile before there is a GPU.
    """
    traces = only(traces_of(traces_path), workflows)
    mix = parse_mix(mix_texts, {trace.workflow for trace in traces})
    cluster, llms = cluster_of(cluster_path), llms_of(llms_path, stand_ins, traces)
    traces, notes = with_lengths(traces, llms)
    refuse_long_calls(
        traces,
        context_limits(llms),
        "raise max_context in the LLM file, or leave these runs out of the traces",
    )
    todo = jobs(traces, llms, cluster, parse_shares(shares), share_groups=share_groups)
    gpu_type = cluster.nodes[0].gpu_type
    if steps_path is None:
        steps = steps_from(source, gpu_type, table_path)
    else:
        steps = (FittedSteps(gpu_type, fitted(read_profile(steps_path).curves)),)
    measured = read_profile(measured_path) if measured_path else Profile(curves=())
    screen = PlainConsole(stderr=True, quiet=as_json)
    for note in notes:
        echo(f"warning: {note}", err=True)
    curves = _estimate(todo, traces, cluster, steps, mix, screen)
    estimated = Profile(curves=tuple(_corrected(curve, measured) for curve in curves))
    write_record(out, estimated)
    if as_json:
        emit_json(estimated)
    else:
        print_profile(estimated, console())
        echo(f"estimated, not measured; written to {out}")


def _estimate(
    todo: Sequence[Job],
    traces: Sequence[Trace],
    cluster: Cluster,
    steps: Sequence[StepTimes],
    mix: dict[str, float],
    screen: Console,
) -> list[Curve]:
    """Raises BadInput where not one curve can be had."""
    curves: list[Curve] = []
    reasons: list[str] = []
    for job in track(todo, "estimating", console=screen, transient=True):
        found = estimate(job, traces, cluster, steps, mix)
        if isinstance(found, str):
            reasons.append(found)
        else:
            curves += found
    if not curves:
        raise BadInput(f"nothing can be estimated: {'; '.join(reasons)}")
    for reason in reasons:
        screen.print(f"left out: {reason}")
    return curves


def _corrected(curve: Curve, measured: Profile) -> Curve:
    same = (other for other in measured.curves if key_of(other) == key_of(curve))
    return correct(curve, [point for other in same for point in other.points])
