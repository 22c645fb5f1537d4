"""Small multiples of the profile: call latency against rate, one line per TP degree or share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from scepsy.core.plan import LlmAllocation, Plan
from scepsy.core.profile import Curve, Profile
from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit, seconds
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, apart, path

WIDTH, HEIGHT = 340, 230
LEFT, TOP, RIGHT, BOTTOM = 56, 26, 58, 42


def charts(profile: Profile, plan: Plan | None, colours: Mapping[str, str]) -> tuple[Chart, ...]:
    """One chart per LLM and workflow; estimated curves are dashed, the one that the plan uses is
    heavy.
    """
    grouped: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in profile.curves:
        grouped[curve.llm, curve.workflow].append(curve)
    used = {part.llm: part for part in plan.allocation.llms} if plan else {}
    return tuple(
        _chart(curves, used.get(llm), plan, colours.get(llm, ""))
        for (llm, _), curves in sorted(grouped.items())
    )


def _chart(
    curves: Sequence[Curve], used: LlmAllocation | None, plan: Plan | None, css: str
) -> Chart:
    ordered = sorted(curves, key=lambda curve: curve.tp * curve.gpu_share)
    llm, workflow = ordered[0].llm, ordered[0].workflow
    operating = _operating_point(plan, used, workflow) if plan and used else None
    points = [(point.rate, point.latency) for curve in ordered for point in curve.points]
    points += [operating] if operating else []
    x = fit([rate for rate, _ in points], LEFT, WIDTH - RIGHT)
    y = fit([latency for _, latency in points], HEIGHT - BOTTOM, TOP, label=seconds)
    return Chart(
        title=f"{llm} · {workflow}",
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="calls/s per replica",
        y_label="mean latency of a call",
        lines=tuple(_line(curve, used, x, y) for curve in ordered),
        marks=_mark(operating, x, y),
        labels=apart([_label(curve, x, y) for curve in ordered if curve.points], 12, 36),
        css=css,
    )


def _line(curve: Curve, used: LlmAllocation | None, x: Axis, y: Axis) -> Line:
    heavy = used is not None and (curve.tp, curve.gpu_share) == (used.tp, used.gpu_share)
    return Line(
        path=path([(point.rate, point.latency) for point in curve.points], x, y),
        css=" ".join(["used"] * heavy + ["estimated"] * curve.estimated),
        title=f"{curve.llm} at {size(curve.tp, curve.gpu_share)}, {curve.source}: at most "
        f"{wording.rate(curve.max_throughput, 'calls/s')}" + (", as the plan has it" * heavy),
    )


def _label(curve: Curve, x: Axis, y: Axis) -> Label:
    last = curve.points[-1]
    return Label(x.at(last.rate) + 5, y.at(last.latency) + 4, size(curve.tp, curve.gpu_share))


def _operating_point(plan: Plan, used: LlmAllocation, workflow: str) -> tuple[float, float] | None:
    """Calls per second on each replica at the target, and the call latency predicted there."""
    for flow in plan.prediction.workflows:
        for stage in flow.stages:
            if (flow.workflow, stage.llm) == (workflow, used.llm):
                calls = _calls(plan, workflow, used.llm)
                return flow.target_rate * calls / used.replicas, stage.call_latency
    return None


def _calls(plan: Plan, workflow: str, llm: str) -> float:
    return sum(
        part.calls
        for demand in plan.demands
        if demand.workflow == workflow
        for part in demand.llms
        if part.llm == llm
    )


def _mark(operating: tuple[float, float] | None, x: Axis, y: Axis) -> tuple[ChartMark, ...]:
    if operating is None or not path([operating], x, y):
        return ()
    rate, latency = operating
    title = (
        f"at the target: {wording.rate(rate, 'calls/s')} per replica, {wording.seconds(latency)}"
    )
    return (ChartMark(x.at(rate), y.at(latency), "dot", "", title),)


def size(tp: int, gpu_share: float) -> str:
    """ "TP4", "0.3 GPU"."""
    return f"TP{tp}" if gpu_share >= 1 else f"{wording.share(gpu_share)} GPU"
