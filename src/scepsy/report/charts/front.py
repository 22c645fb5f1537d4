"""Latency against GPUs: the fastest plan known for each number of GPUs, and the chosen one."""

from __future__ import annotations

from scepsy.core.plan import FrontPoint, Plan
from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit, seconds
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line

WIDTH, HEIGHT = 480, 300
LEFT, TOP, RIGHT, BOTTOM = 60, 44, 20, 48


def chart(plan: Plan) -> Chart | None:
    """A step down at each number of GPUs that makes the plan faster. None for fewer than two
    points, which show no trade-off.
    """
    front = plan.explanation.front
    if len(front) < 2:
        return None
    x = fit([float(point.gpus) for point in front], LEFT, WIDTH - RIGHT, linear=True)
    y = fit([point.objective for point in front], HEIGHT - BOTTOM, TOP, label=seconds)
    places = [(x.at(point.gpus), y.at(point.objective)) for point in front]
    steps = f"M{places[0][0]:g},{places[0][1]:g}"
    steps += "".join(f"H{right:g}V{low:g}" for right, low in places[1:])
    chosen = [(point, place) for point, place in zip(front, places, strict=True) if point.chosen]
    return Chart(
        title="Latency against GPUs",
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="GPUs that a replica runs on",
        y_label=_summed(plan) + (", logarithmic" if y.log else ""),
        lines=(
            Line(steps, "predicted even", "the fastest plan that is known on this number of GPUs"),
        ),
        marks=(
            *(
                ChartMark(at, level, "square", "even", _title(point))
                for point, (at, level) in zip(front, places, strict=True)
                if not point.chosen
            ),
            *(ChartMark(at, level, "dot", "plan", _title(point)) for point, (at, level) in chosen),
        ),
        labels=tuple(_label(point, place, x) for point, place in chosen),
    )


def _label(point: FrontPoint, place: tuple[float, float], x: Axis) -> Label:
    """Below the point, where no line is: latency falls with more GPUs."""
    at, level = place
    late = at > (x.start + x.end) / 2
    gpus, latency = wording.count(point.gpus, "GPU"), wording.seconds(point.objective)
    text = f"this plan: {gpus}, {latency}"
    return Label(at + (-8 if late else 8), level + 18, text, "target", "end" if late else "start")


def note(plan: Plan) -> str:
    """What the tolerance let the plan do, if it was given one."""
    tolerance = plan.explanation.tolerance
    if not tolerance:
        return ""
    return (
        f"The plan may be up to {wording.percent(tolerance)} slower than the fastest one, to leave "
        "GPUs free."
    )


def _summed(plan: Plan) -> str:
    if len(plan.targets) == 1:
        return "mean latency of a run"
    weighted = "" if all(target.weight == 1 for target in plan.targets) else "weighted "
    return f"{weighted}sum of the workflows' mean latencies"


def _title(point: FrontPoint) -> str:
    means = ", ".join(
        f"{workflow} {wording.seconds(mean)}" for workflow, mean in point.latency_means.items()
    )
    return (
        f"{wording.count(point.gpus, 'GPU')}: {wording.seconds(point.objective)} ({means}); "
        f"saturates at {wording.factor(point.headroom)} of the targets"
    )
