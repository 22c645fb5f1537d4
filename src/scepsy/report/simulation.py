"""The page of a simulation: what a plan does under load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import inf
from statistics import fmean

from scepsy.core.plan import Plan
from scepsy.predict.headroom import headroom
from scepsy.report import wording
from scepsy.report.charts.chart import Chart
from scepsy.report.charts.palette import colours
from scepsy.report.charts.simulated import distribution, load_curve
from scepsy.report.charts.spans import Spans, utilisation, waterfall
from scepsy.report.first_screen import pace_notes
from scepsy.report.gpu_map import cluster as gpumap
from scepsy.report.gpu_map.shapes import GpuMap
from scepsy.report.html import environment
from scepsy.sim.results.records import LlmResult, SimulationResult, WorkflowResult
from scepsy.traces.latency_trend import overall


@dataclass(frozen=True, slots=True)
class SimulationPage:
    """What the template fills in. `colours` maps LLMs to CSS classes; `slowest` has the slowest
    runs of each workflow, slowest first.
    """

    banner: str
    headline: str
    facts: tuple[str, ...]
    headroom: tuple[str, ...]
    flows: tuple[WorkflowResult, ...]
    distributions: tuple[Chart, ...]
    curves: tuple[Chart, ...]
    map: GpuMap
    gpus: Spans
    slowest: tuple[tuple[str, tuple[Spans, ...]], ...]
    llms: tuple[LlmResult, ...]
    colours: Mapping[str, str]
    notes: tuple[str, ...]


def render(plan: Plan, found: SimulationResult, rates: Mapping[str, float] | None = None) -> str:
    """One self-contained HTML page. `rates` are those that were simulated, in runs per second; by
    default the plan's targets. Raises NotFound where jinja2 is not installed.
    """
    template = environment().get_template("simulation.html")
    return template.render(page=page(plan, found, rates), words=wording)


def page(
    plan: Plan, found: SimulationResult, rates: Mapping[str, float] | None = None
) -> SimulationPage:
    """Lays out what was found."""
    by_llm = colours(llm.name for llm in plan.llms)
    room = headroom(plan.prediction, rates).factor
    return SimulationPage(
        banner="Simulated: no GPU was used and no engine ran.",
        headline=_headline(found.workflows),
        facts=(
            wording.count(len(plan.placement.replicas), "replica"),
            wording.count(len(found.gpus), "GPU"),
            wording.count(found.calls, "call"),
            f"GPUs {wording.percent(fmean(gpu.utilisation for gpu in found.gpus))} busy",
        ),
        flows=found.workflows,
        headroom=headroom_sentences(plan, found, rates),
        distributions=tuple(distribution(flow) for flow in found.workflows),
        curves=tuple(load_curve(flow, found, room) for flow in found.workflows),
        map=gpumap.gpu_map(plan.cluster, plan.placement, by_llm),
        gpus=utilisation(found.gpus, found.seconds),
        slowest=tuple(
            (
                flow.workflow,
                tuple(
                    waterfall(run, by_llm) for run in found.slowest if run.workflow == flow.workflow
                ),
            )
            for flow in found.workflows
        ),
        llms=found.llms,
        colours=by_llm,
        notes=(
            *pace_notes(plan, plan.time_scale),
            "Simulated: arrivals do not wait for capacity, calls are routed by the gateway's own "
            "function, engines batch continuously. The first and last tenth of the "
            "arrivals are not counted.",
            f"Seed {found.seed}. Scepsy {version('scepsy')}.",
        ),
    )


def headroom_sentences(
    plan: Plan, found: SimulationResult, rates: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """How far the load may grow, all workflows together: as the plan predicts, and as simulated.
    `rates` are those that were simulated, in runs per second; by default the plan's targets.
    """
    predicted = headroom(plan.prediction, rates)
    return (
        "Headroom, all workflows together: the plan predicts that "
        f"{predicted.llm or 'an LLM'} saturates at {wording.factor(predicted.factor)} of this load",
        f"Simulated at multiples of this load: {_simulated_headroom(found)}",
    )


def _simulated_headroom(found: SimulationResult) -> str:
    verdicts = [
        (point.scale, overall(flow.verdict for flow in point.workflows)) for point in found.curve
    ]
    failed = min((scale for scale, verdict in verdicts if verdict == "not sustained"), default=inf)
    carried = [s for s, verdict in verdicts if verdict == "sustained" and s < failed]
    text = (
        f"the load is sustained up to {wording.factor(max(carried))}"
        if carried
        else "of no simulated load it is known that it is sustained"
    )
    if failed < inf:
        return f"{text}, and not sustained at {wording.factor(failed)}"
    most = max((scale for scale, _ in verdicts), default=1.0)
    if most in carried:
        return f"{text}, the highest load that was simulated"
    return f"{text}; no load above {wording.factor(most)} was simulated"


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
