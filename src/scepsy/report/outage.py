"""The page of an outage: what callers saw while a node was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from scepsy.report import wording
from scepsy.report.charts.chart import Chart
from scepsy.report.charts.outage import latency, throughput
from scepsy.report.charts.palette import colours
from scepsy.report.first_screen import NO_GPU
from scepsy.report.gpu_map import cluster as gpumap
from scepsy.report.gpu_map.shapes import GpuMap
from scepsy.report.html import environment
from scepsy.report.outage_data import Outage


@dataclass(frozen=True, slots=True)
class OutagePage:
    """What the template fills in."""

    banner: str
    headline: str
    facts: tuple[str, ...]
    sentences: tuple[str, ...]
    calls: Chart
    runs: tuple[Chart, ...]
    before: GpuMap
    after: GpuMap
    colours: Mapping[str, str]
    failures: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def render(outage: Outage) -> str:
    """One self-contained HTML page. Raises NotFound where jinja2 is not installed."""
    template = environment().get_template("outage.html")
    return template.render(page=page(outage), words=wording)


def page(outage: Outage) -> OutagePage:
    """Lays out what callers saw."""
    before, after = outage.before, outage.after
    by_llm = colours(llm.name for llm in before.llms)
    return OutagePage(
        banner=NO_GPU,
        headline=headline(outage),
        facts=(
            wording.count(len(before.cluster.nodes), "node"),
            wording.count(len(before.placement.replicas), "replica"),
            wording.count(len(outage.calls), "call"),
            wording.count(len(outage.runs), "run"),
        ),
        sentences=sentences(outage),
        calls=throughput(outage),
        runs=tuple(latency(outage, name) for name in sorted({run.workflow for run in outage.runs})),
        before=gpumap.gpu_map(before.cluster, before.placement, by_llm),
        after=gpumap.gpu_map(after.cluster, after.placement, by_llm),
        colours=by_llm,
        failures=tuple(
            (call.llm, f"{call.start:.1f} s", call.error or "") for call in outage.failed
        ),
        notes=(
            f"Machine: {outage.machine}. The whole took {wording.seconds(outage.took)}. "
            f"Scepsy {version('scepsy')}.",
        ),
    )


def headline(outage: Outage) -> str:
    """The result in one sentence."""
    lost = wording.count(len(outage.lost), "call")
    what = f"{lost} lost" if outage.lost else "no call lost"
    return (
        f"Node {outage.node} lost its power under load: {what} that a living replica could have "
        "served"
    )


def sentences(outage: Outage) -> tuple[str, ...]:
    """What happened, in order."""
    moved = sum(
        one not in outage.before.placement.replicas for one in outage.after.placement.replicas
    )
    again = [call for call in outage.calls if call.error is None and call.attempts > 1]
    runs = [run for run in outage.runs if run.error is not None]
    served = (
        "The plan's replicas did not all serve again before the load ended."
        if outage.served_at is None
        else f"After {outage.served_at - outage.lost_at:.1f} s every replica of the plan served "
        f"again; {wording.count(moved, 'replica')} had moved."
    )
    alone = tuple(
        f"Nothing served {llm} meanwhile: it had no replica on another node."
        for llm in outage.without_replica
    )
    return (
        f"{outage.node} lost its power {outage.lost_at:.1f} s after the load began.",
        served,
        *alone,
        f"{wording.count(len(again), 'call')} had to be sent to a second replica, and succeeded "
        "there.",
        f"{wording.count(len(outage.failed), 'call')} of {len(outage.calls)} failed, "
        f"{len(outage.lost)} of them while another replica of their LLM lived.",
        f"{wording.count(len(runs), 'run')} of {len(outage.runs)} failed.",
    )
