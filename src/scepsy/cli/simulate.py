"""`scepsy simulate`: what a plan does under load, without any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from scepsy.cli.inputs import parse_rates, traces_of
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import bar, console, emit_json, json_option, seconds, table
from scepsy.cli.terminal import echo
from scepsy.core.plan import Infeasible, Plan
from scepsy.errors import BadInput, Unmeetable, did_you_mean
from scepsy.planning.simulated_runs import usable_runs
from scepsy.report.first_screen import pace_notes
from scepsy.report.simulation import headroom_sentences, render
from scepsy.sim.results.records import LatencyDistribution, SimulationResult
from scepsy.sim.results.study import Pattern, study
from scepsy.sim.workload.arrivals import arrivals, recorded
from scepsy.store import read_arrivals, read_plan, write_atomic, write_record

RUNS = 400
"""Simulated runs of the rarest workflow without --duration; a p99 needs 100 of them."""


@click.command("simulate")
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@click.option(
    "--traces",
    "traces_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Trace directory. Its runs are replayed.",
)
@click.option(
    "--rate",
    "rate_texts",
    multiple=True,
    metavar="WORKFLOW=RATE",
    help="Runs per second.  [default: the plan's targets]",
)
@click.option(
    "--scale",
    type=FiniteRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Factor on every rate.",
)
@click.option(
    "--arrivals",
    "pattern_text",
    default="poisson",
    show_default=True,
    metavar="poisson|gamma:CV|FILE",
    help="How runs arrive: with a coefficient of variation, or as recorded in a file.",
)
@click.option(
    "--duration",
    type=FiniteRange(min=0, min_open=True),
    help=f"Seconds in which runs arrive.  [default: enough for {RUNS} runs of each workflow]",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the arrivals and of the runs that are drawn.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/simulation"),
    show_default=True,
    help="Directory for simulation.json and report.html.",
)
@json_option
def command(
    plan_path: Path,
    traces_path: Path,
    rate_texts: tuple[str, ...],
    scale: float,
    pattern_text: str,
    duration: float | None,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Simulate a plan that serves traced runs: open-loop arrivals, the gateway's routing, engines
    with continuous batching. The exit code is 7 when the plan does not sustain the load.
    """
    plan = read_plan(plan_path)
    rates = _rates(plan, rate_texts, scale)
    lasts = duration or RUNS / min(rates.values())
    loads = {name: (rate, max(1, round(rate * lasts))) for name, rate in rates.items()}
    traces, notes = usable_runs(traces_of(traces_path), plan.llms)
    for note in notes:
        echo(f"warning: {note}", err=True)
    with bar("simulating", quiet=as_json) as tell:
        found = study(
            plan,
            traces,
            loads,
            _pattern(pattern_text),
            seed=seed,
            progress=tell,
        )
    if isinstance(found, Infeasible):
        raise Unmeetable(f"{plan_path} cannot run ({found.binding}): {found.reason}")
    write_record(out / "simulation.json", found)
    write_atomic(out / "report.html", render(plan, found, rates).encode())
    if as_json:
        emit_json(found)
    else:
        screen = console()
        _print(found, screen)
        for sentence in pace_notes(plan, plan.time_scale):
            screen.print(f"- {sentence}")
        for sentence in headroom_sentences(plan, found, rates):
            echo(sentence)
        _say_too_short(found)
        echo(f"\nwritten to {out}/simulation.json and {out}/report.html")
    _check_sustained(found)


def _rates(plan: Plan, texts: Sequence[str], scale: float) -> dict[str, float]:
    rates = parse_rates("--rate", texts) or {
        target.workflow: target.rate for target in plan.targets
    }
    if not rates:
        raise BadInput("the plan has no targets: give --rate WORKFLOW=RATE")
    return {workflow: rate * scale for workflow, rate in rates.items()}


def _pattern(text: str) -> Pattern:
    kind, colon, cv = text.partition(":")
    if text == "poisson":
        return arrivals
    file = Path(text)
    if not file.exists() and kind != "gamma" and not (file.suffix or len(file.parts) > 1):
        meant = did_you_mean(kind, ("poisson", "gamma"))
        meant = meant[:-1] + f":{cv}?" if meant and colon else meant
        raise BadInput(
            f"--arrivals {text!r}: write poisson, gamma:CV or the name of a file; "
            f"there is no file of this name{meant}"
        )
    if kind == "gamma":
        try:
            number = float(cv)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 10:
            raise BadInput(f"--arrivals {text!r}: write gamma:CV, with a CV from 0 to 10")
        return partial(arrivals, cv=number)
    return partial(recorded, times=read_arrivals(file))


def _print(found: SimulationResult, screen: Console) -> None:
    flows = [
        (
            flow.workflow,
            flow.runs,
            f"{flow.offered_rate:.3g}/s",
            f"{flow.throughput:.3g} ({flow.throughput_low:.3g} to {flow.throughput_high:.3g})/s",
            flow.verdict,
            seconds(flow.latency.mean),
            seconds(flow.latency.p50),
            seconds(flow.latency.p90),
            _p99(flow.latency),
        )
        for flow in found.workflows
    ]
    heads = ("workflow", "runs", "offered", "completed, 90% interval", "load", "mean")
    heads += ("p50", "p90", "p99")
    screen.print(table("Latency of the simulated runs", heads, flows))
    calls = [
        (
            llm.llm,
            llm.calls,
            seconds(llm.latency.mean),
            _p99(llm.latency),
            seconds(llm.first_token.mean),
            f"{llm.cached:.0%}",
            llm.preemptions,
        )
        for llm in found.llms
    ]
    heads = ("LLM", "calls", "mean", "p99", "first token", "cached", "preempted")
    screen.print(table("Calls", heads, calls))
    used = [gpu.utilisation for gpu in found.gpus]
    screen.print(
        f"Engines busy, weighted by their shares of GPUs: {sum(used) / len(used):.0%} on average; "
        f"{max(used):.0%} on the GPU where they are busiest"
    )


def _p99(latency: LatencyDistribution) -> str:
    return seconds(latency.p99)


def _say_too_short(found: SimulationResult) -> None:
    short = [flow.workflow for flow in found.workflows if flow.verdict == "too short to tell"]
    if short:
        click.echo(
            f"the simulation is too short to decide whether the load of {', '.join(short)} is "
            "sustained: give a longer --duration",
            err=True,
        )


def _check_sustained(found: SimulationResult) -> None:
    late: Mapping[str, str] = {
        flow.workflow: f"{flow.workflow} gains {flow.latency_growth:.2g} s of latency per second: "
        f"{flow.offered_rate:.3g} runs/s arrive, {flow.throughput:.3g} runs/s complete"
        for flow in found.workflows
        if flow.verdict == "not sustained"
    }
    if late:
        raise Unmeetable(f"the plan does not sustain this load; {'; '.join(late.values())}")
