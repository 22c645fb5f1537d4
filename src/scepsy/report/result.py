"""The result in words: the prediction, the measurement, and an even split in comparison."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from scepsy.predict.headroom import Headroom, headroom
from scepsy.report import wording
from scepsy.report.data import Measurement, Report, WorkflowSummary
from scepsy.traces.latency_trend import MIN_RUNS, LoadVerdict

SAID: dict[LoadVerdict, str] = {
    "sustained": "sustains",
    "not sustained": "does not sustain",
    "too short to tell": "was driven too briefly to tell whether it sustains",
}
"""What a verdict on the load says of a workflow; its target rate follows in the sentence."""
CHIPS: dict[LoadVerdict, tuple[str, str]] = {
    "sustained": ("met", "✓ sustained"),
    "not sustained": ("short", "✗ not sustained"),
    "too short to tell": ("", "? too short to tell"),
}
"""By verdict, class and text of the mark beside a workflow's name."""


HIT, MISSED = "met", "short"
"""Class of a mark that reports good news, and of one that reports bad news."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number on a workflow's card. `css` is the class of its note."""

    name: str
    value: str
    unit: str
    note: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One workflow's result; a chip is the class and the text of a mark beside its name."""

    workflow: str
    chips: tuple[tuple[str, str], ...]
    sentence: str
    figures: tuple[Figure, ...]


def headline(report: Report) -> str:
    """The whole result in one sentence."""
    flows = report.summary.workflows
    gpus = wording.count(report.plan.cluster.gpus, "GPU")
    error = max((abs(flow.latency_error) for flow in flows), default=0.0)
    off = f"redicted mean latency is at most {wording.percent(error)} off"
    missed = [flow.workflow for flow in flows if within_interval(flow) is False]
    if missed:
        off += f", outside its interval for {', '.join(missed)}"
    said = Counter(flow.measured.verdict for flow in flows if not flow.measured.failed)
    if said["too short to tell"] == len(flows):
        return f"P{off}, on {gpus}; too short a drive to tell whether the targets are sustained"
    total = wording.count(len(flows), "workflow")
    text = f"Target sustained on {gpus} by {said['sustained']} of {total}"
    if said["too short to tell"]:
        text += f", too short to tell for {said['too short to tell']}"
    return f"{text}; p{off}"


def within_interval(flow: WorkflowSummary) -> bool | None:
    """Whether the prediction's error lies within its 90% interval; None where that is unknown."""
    if flow.chance is None or not math.isfinite(flow.latency_error):
        return None
    return abs(flow.latency_error) <= flow.chance


def cards(report: Report) -> tuple[Card, ...]:
    """One card per workflow."""
    together = headroom(report.plan.prediction)
    bottlenecks = {flow.workflow: flow.bottleneck for flow in report.plan.prediction.workflows}
    return tuple(
        _card(flow, together, bottlenecks.get(flow.workflow, ""))
        for flow in report.summary.workflows
    )


def reached(measured: Measurement) -> bool:
    """Whether nothing speaks against the offered rate: no run failed, and latency does not grow."""
    return measured.verdict != "not sustained" and not measured.failed


def gain(flow: WorkflowSummary) -> str:
    """The plan against the even split, in latency and, where they differ, in throughput."""
    measured, even = flow.measured, flow.even_split
    parts = [_compare(even.latency_mean, measured.latency_mean, "lower", "higher", "mean latency")]
    if reached(measured) != reached(even):
        parts.append(
            _compare(measured.throughput, even.throughput, "higher", "lower", "throughput")
        )
    return " and ".join(parts)


def _card(flow: WorkflowSummary, together: Headroom, bottleneck: str) -> Card:
    measured = flow.measured
    load = (MISSED, "✗ runs failed") if measured.failed else CHIPS[measured.verdict]
    few = measured.completed < MIN_RUNS
    runs = wording.count(measured.completed, "run")
    reason = f" ({runs}; a verdict needs {MIN_RUNS})" if few else ""
    sentence = (
        f"{flow.workflow} {SAID[measured.verdict]} {wording.rate(flow.target_rate)}"
        f"{reason}: {wording.rate(measured.throughput)} completed, at a mean latency of "
        f"{wording.seconds(measured.latency_mean)}, predicted "
        f"{wording.seconds(flow.predicted.latency_mean)} "
        f"(error {wording.error(flow.latency_error, flow.chance)}); {gain(flow)} than under the "
        "even split."
    )
    chips = (load, *_prediction_chip(flow))
    return Card(flow.workflow, chips, sentence, _figures(flow, together, bottleneck))


def _prediction_chip(flow: WorkflowSummary) -> list[tuple[str, str]]:
    match within_interval(flow):
        case True:
            return [(HIT, "✓ latency as predicted")]
        case False:
            return [(MISSED, "✗ latency outside the predicted interval")]
        case None:
            return []


def _figures(flow: WorkflowSummary, together: Headroom, bottleneck: str) -> tuple[Figure, ...]:
    measured, even, predicted = flow.measured, flow.even_split, flow.predicted
    lost = f"; {measured.failed} failed" if measured.failed else ""
    name, slow = wording.tail(measured.latency_p99, measured.latency_max, measured.completed)
    even_name, even_slow = wording.tail(even.latency_p99, even.latency_max, even.completed)
    alone = wording.factor(predicted.saturation / flow.target_rate)
    missed = MISSED if within_interval(flow) is False else ""
    return (
        _figure(
            "headroom",
            wording.factor(together.factor),
            f"all workflows together; {alone} if {flow.workflow} alone grows, to "
            f"{wording.rate(predicted.saturation)}, where {bottleneck} saturates",
        ),
        _figure(
            "completed",
            wording.rate(measured.throughput),
            f"90% interval {wording.digits(measured.throughput_low)} to "
            f"{wording.digits(measured.throughput_high)}; offered "
            f"{wording.digits(measured.offered_rate)}",
        ),
        _figure(
            "mean latency",
            wording.seconds(measured.latency_mean),
            f"predicted {wording.seconds(predicted.latency_mean)}: "
            f"{wording.error(flow.latency_error, flow.chance)}",
            missed,
        ),
        _figure(
            f"latency, {name}",
            wording.seconds(slow),
            f"measured; median {wording.seconds(measured.latency_p50)}{lost}",
        ),
        _figure(
            "even split, mean",
            wording.seconds(even.latency_mean),
            f"at {wording.rate(even.throughput)}; {even_name} {wording.seconds(even_slow)}",
        ),
    )


def _figure(name: str, text: str, note: str, css: str = "") -> Figure:
    value, _, unit = text.partition(" ")
    if value == wording.TIMES:
        value, unit = text, ""
    return Figure(name, value, unit, note, css)


def _compare(value: float, reference: float, more: str, less: str, what: str) -> str:
    if not reference > 0 or not value > 0:
        return f"no comparable {what}"
    ratio = value / reference
    word = more if ratio >= 1 else less
    return f"{wording.times(ratio if ratio >= 1 else 1 / ratio)} {word} {what}"
