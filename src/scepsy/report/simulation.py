"""The page of a simulation: what a plan does under load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import fmean

from scepsy.core.plan import Plan
from scepsy.report import wording
from scepsy.report.charts.axes import fit
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, path
from scepsy.report.charts.palette import colours
from scepsy.report.charts.spans import Spans, utilisation, waterfall
from scepsy.report.gpu_map import cluster as gpumap
from scepsy.report.gpu_map.shapes import GpuMap
from scepsy.report.html import environment
from scepsy.sim.results.records import LlmResult, SimulationResult, WorkflowResult

WIDTH, HEIGHT = 540, 300
LEFT, TOP, RIGHT, BOTTOM = 58, 14, 22, 48


@dataclass(frozen=True, slots=True)
class SimulationPage:
    """What the template fills in. `colours` maps LLMs to CSS classes."""

    headline: str
    facts: tuple[str, ...]
    flows: tuple[WorkflowResult, ...]
    distributions: tuple[Chart, ...]
    curves: tuple[Chart, ...]
    map: GpuMap
    gpus: Spans
    slowest: tuple[Spans, ...]
    llms: tuple[LlmResult, ...]
    colours: Mapping[str, str]
    notes: tuple[str, ...]


def render(plan: Plan, found: SimulationResult) -> str:
    """One self-contained HTML page. Raises NotFound where jinja2 is not installed."""
    template = environment().get_template("simulation.html")
    return template.render(page=page(plan, found), words=wording)


def page(plan: Plan, found: SimulationResult) -> SimulationPage:
    """Lays out what was found."""
    by_llm = colours(llm.name for llm in plan.llms)
    return SimulationPage(
        headline=_headline(found.workflows),
        facts=(
            wording.count(len(plan.placement.replicas), "replica"),
            wording.count(len(found.gpus), "GPU"),
            wording.count(found.calls, "call"),
            f"GPUs {wording.percent(fmean(gpu.utilisation for gpu in found.gpus))} busy",
        ),
        flows=found.workflows,
        distributions=tuple(_distribution(flow) for flow in found.workflows),
        curves=tuple(_curve(flow, found) for flow in found.workflows),
        map=gpumap.gpu_map(plan.cluster, plan.placement, by_llm),
        gpus=utilisation(found.gpus, found.seconds),
        slowest=tuple(waterfall(run, by_llm) for run in found.slowest),
        llms=found.llms,
        colours=by_llm,
        notes=(
            "Simulated: arrivals do not wait for capacity, calls are routed by the gateway's own "
            "function, engines batch continuously. No engine ran. The first and last tenth of the "
            "arrivals are not counted.",
            f"Seed {found.seed}. Scepsy {version('scepsy')}.",
        ),
    )


def _headline(flows: Sequence[WorkflowResult]) -> str:
    late = [flow.workflow for flow in flows if flow.verdict == "not sustained"]
    if late:
        return (
            f"The plan does not sustain this load: the latency of {', '.join(late)} keeps growing"
        )
    means = ", ".join(f"{flow.workflow} {wording.seconds(flow.latency.mean)}" for flow in flows)
    short = [flow.workflow for flow in flows if flow.verdict == "too short to tell"]
    if short:
        return (
            f"Too short a simulation to tell whether the load of {', '.join(short)} is sustained; "
            f"mean latency: {means}"
        )
    return f"The plan sustains this load; mean latency: {means}"


def _distribution(flow: WorkflowResult) -> Chart:
    """Which part of the runs took at most how long."""
    latencies = flow.latency.percentiles
    x = fit(latencies, LEFT, WIDTH - RIGHT)
    y = fit([100.0], HEIGHT - BOTTOM, TOP, linear=True)
    marks = [(50, flow.latency.p50, "p50"), (90, flow.latency.p90, "p90")]
    if flow.latency.p99 is not None:
        marks.append((99, flow.latency.p99, "p99"))
    points = [(latency, float(percent)) for percent, latency in enumerate(latencies)]
    return Chart(
        title=flow.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="latency of a run (s)" + (", logarithmic" if x.log else ""),
        y_label="runs (%)",
        lines=(Line(path(points, x, y), "predicted plan", "part of the runs"),),
        marks=tuple(
            ChartMark(x.at(value), y.at(at), "dot", "plan", f"{name} {wording.seconds(value)}")
            for at, value, name in marks
        ),
        labels=tuple(
            Label(x.at(value) + 2, y.at(at) + 17, text, anchor="start" if at < 99 else "end")
            for at, value, name in marks
            for text in [f"{name} {wording.seconds(value)}"]
        ),
    )


def _curve(flow: WorkflowResult, found: SimulationResult) -> Chart:
    """Mean and p99 latency against throughput; rings are loads that are not sustained."""
    points = [
        (one, other.scale)
        for other in found.curve
        for one in other.workflows
        if one.workflow == flow.workflow
    ]
    x = fit([one.throughput for one, _ in points], LEFT, WIDTH - RIGHT, linear=True)
    y = fit(
        [value for one, _ in points for value in (one.latency.mean, one.latency.p99 or 0.0)],
        HEIGHT - BOTTOM,
        TOP,
    )
    at = x.at(flow.throughput)
    return Chart(
        title=flow.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="throughput (runs/s)",
        y_label="latency of a run (s)" + (", logarithmic" if y.log else ""),
        lines=(
            Line(f"M{at:g},{y.start:g}V{y.end:g}", "target", "the load asked about"),
            Line(
                path(
                    [
                        (one.throughput, one.latency.p99)
                        for one, _ in points
                        if one.latency.p99 is not None
                    ],
                    x,
                    y,
                ),
                "predicted even",
                "p99",
            ),
            Line(
                path([(one.throughput, one.latency.mean) for one, _ in points], x, y),
                "predicted plan",
                "mean",
            ),
        ),
        marks=tuple(
            ChartMark(
                x.at(one.throughput),
                y.at(one.latency.mean),
                "ring" if one.verdict == "not sustained" else "dot",
                "plan",
                f"{scale:g} times the load: {wording.rate(one.throughput)} of "
                f"{wording.rate(one.offered_rate)}, mean {wording.seconds(one.latency.mean)}, "
                + ("" if one.latency.p99 is None else f"p99 {wording.seconds(one.latency.p99)}"),
            )
            for one, scale in points
        ),
    )
