"""Everything on the page, as the template wants it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scepsy.core.plan import Allocation, Finalist, Plan
from scepsy.planning.allocation_text import describe
from scepsy.report import result, wording
from scepsy.report.charts import front
from scepsy.report.charts import load_curves as loadcurves
from scepsy.report.charts import profile_curves as profilecurves
from scepsy.report.charts import time_shares as shares
from scepsy.report.charts.chart import Chart
from scepsy.report.charts.palette import colours
from scepsy.report.data import LlmSummary, Report, WorkflowSummary
from scepsy.report.first_screen import (
    NO_GPU,
    HeadroomFigure,
    headroom_figure,
    is_emulated,
    latency_sum,
    pace_notes,
)
from scepsy.report.gpu_map import cluster as gpumap
from scepsy.report.gpu_map.shapes import SMALL, GpuMap
from scepsy.report.reasons import reasons


@dataclass(frozen=True, slots=True)
class Other:
    """A plan that came next."""

    allocation: str
    objective: str
    note: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What the template fills in. `colours` maps LLMs to CSS classes."""

    banner: str
    headline: str
    facts: tuple[str, ...]
    headroom: HeadroomFigure
    reasons: tuple[str, ...]
    cards: tuple[result.Card, ...]
    load_charts: tuple[Chart, ...]
    plan_map: GpuMap
    even_map: GpuMap
    even_allocation: str
    colours: Mapping[str, str]
    bars: tuple[shares.ShareBar, ...]
    profile_charts: tuple[Chart, ...]
    workflows: tuple[WorkflowSummary, ...]
    llms: tuple[LlmSummary, ...]
    why: tuple[str, ...]
    finalists: tuple[tuple[str, ...], ...]
    front: Chart | None
    front_note: str
    others: tuple[Other, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    def missed(self, flow: WorkflowSummary) -> bool:
        """Whether the error of a prediction lies outside its interval."""
        return result.within_interval(flow) is False


def page(report: Report, version: str) -> ReportPage:
    """Lays out `report`; `version` is Scepsy's."""
    plan, even = report.plan, report.even_split
    by_llm = colours(llm.name for llm in (*plan.llms, *even.llms))
    return ReportPage(
        banner=NO_GPU if is_emulated(plan) else "",
        headline=result.headline(report),
        facts=_facts(plan),
        headroom=headroom_figure(plan),
        reasons=reasons(plan),
        cards=result.cards(report),
        load_charts=tuple(loadcurves.chart(curves) for curves in report.curves),
        plan_map=gpumap.gpu_map(plan.cluster, plan.placement, by_llm),
        even_map=gpumap.gpu_map(even.cluster, even.placement, by_llm, SMALL),
        even_allocation=_describe(even.allocation),
        colours=by_llm,
        bars=shares.bars(plan.demands, by_llm),
        profile_charts=profilecurves.charts(report.profile, plan, by_llm),
        workflows=report.summary.workflows,
        llms=report.summary.llms,
        why=plan.explanation.summary,
        finalists=tuple(map(_finalist, plan.explanation.finalists)),
        front=front.chart(plan),
        front_note=front.note(plan),
        others=tuple(
            Other(_describe(other.allocation), wording.seconds(other.objective), other.note)
            for other in plan.explanation.runners_up
        ),
        skipped=plan.explanation.skipped,
        notes=_notes(report, version),
    )


def _finalist(one: Finalist) -> tuple[str, ...]:
    """What it does otherwise, and what each predictor says."""
    said = (one.pipeline, one.replay, one.simulated)
    return (one.note, *("" if each is None else wording.seconds(each) for each in said))


def _describe(allocation: Allocation) -> str:
    """All LLMs' allocations in one line."""
    return ", ".join(f"{part.llm} {describe(part)}" for part in allocation.llms)


def _facts(plan: Plan) -> tuple[str, ...]:
    replicas = len(plan.placement.replicas)
    return (
        wording.count(len(plan.llms), "LLM"),
        wording.count(replicas, "replica"),
        wording.count(len(plan.cluster.nodes), "node"),
        f"{wording.share(plan.allocation.gpus)} of {wording.count(plan.cluster.gpus, 'GPU')} used",
        latency_sum(plan),
    )


def _notes(report: Report, version: str) -> tuple[str, ...]:
    summary = report.summary
    profiled = sorted({curve.engine for curve in report.profile.curves})
    return (
        *pace_notes(report.plan, summary.time_scale),
        f"Machine: {summary.machine}. Seed {summary.seed}. The whole took "
        f"{wording.seconds(summary.seconds)}.",
        f"Scepsy {version}; engines: {summary.engines}; profiled on: {', '.join(profiled)}.",
    )
