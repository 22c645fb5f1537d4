"""The result in words: what was promised, what was measured, what an even split would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.report import wording
from scepsy.report.data import Measurement, Report, WorkflowSummary
from scepsy.traces.latency_trend import LoadVerdict

SAID: dict[LoadVerdict, str] = {
    "sustained": "sustains",
    "not sustained": "does not sustain",
    "too short to tell": "was driven too briefly to tell whether it sustains",
}
"""What a load's verdict says of a workflow, before its target rate."""
CHIPS: dict[LoadVerdict, tuple[str, str]] = {
    "sustained": ("met", "✓ sustained"),
    "not sustained": ("short", "✗ not sustained"),
    "too short to tell": ("", "? too short to tell"),
}
"""Class and text of the mark beside a workflow's name."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number on a workflow's card."""

    name: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True, slots=True)
class Card:
    """One workflow's result."""

    workflow: str
    chip: tuple[str, str]
    sentence: str
    figures: tuple[Figure, ...]


def headline(report: Report) -> str:
    """The whole result in one sentence."""
    flows = report.summary.workflows
    said = Counter(flow.measured.verdict for flow in flows if not flow.measured.failed)
    gpus = wording.count(report.plan.cluster.gpus, "GPU")
    error = max((abs(flow.latency_error) for flow in flows), default=0.0)
    total = wording.count(len(flows), "workflow")
    who = f"Target sustained on {gpus} by {said['sustained']} of {total}"
    if said["too short to tell"]:
        who += f", too short to tell for {said['too short to tell']}"
    return f"{who}; predicted mean latency is at most {wording.percent(error)} off"


def cards(flows: Sequence[WorkflowSummary]) -> tuple[Card, ...]:
    """One card per workflow."""
    return tuple(_card(flow) for flow in flows)


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


def _card(flow: WorkflowSummary) -> Card:
    measured = flow.measured
    chip = ("short", "✗ runs failed") if measured.failed else CHIPS[measured.verdict]
    sentence = (
        f"{flow.workflow} {SAID[measured.verdict]} {wording.rate(flow.target_rate)}: "
        f"{wording.rate(measured.throughput)} completed, at a mean latency of "
        f"{wording.seconds(measured.latency_mean)}, predicted "
        f"{wording.seconds(flow.predicted.latency_mean)} "
        f"({wording.error(flow.latency_error, flow.chance)}); {gain(flow)} than under the even "
        "split."
    )
    return Card(flow.workflow, chip, sentence, _figures(flow))


def _figures(flow: WorkflowSummary) -> tuple[Figure, ...]:
    measured, even, predicted = flow.measured, flow.even_split, flow.predicted
    lost = f", {measured.failed} failed" if measured.failed else ""
    return (
        _figure(
            "throughput",
            wording.rate(measured.throughput),
            f"counted, 90% interval {wording.digits(measured.throughput_low)} to "
            f"{wording.digits(measured.throughput_high)}; offered "
            f"{wording.digits(measured.offered_rate)}, predicted to saturate at "
            f"{wording.digits(predicted.saturation)}",
        ),
        _figure(
            "mean latency",
            wording.seconds(measured.latency_mean),
            f"predicted {wording.seconds(predicted.latency_mean)}, "
            f"error {wording.error(flow.latency_error, flow.chance)}",
        ),
        _figure(
            "p99 latency",
            wording.seconds(measured.latency_p99),
            f"p50 {wording.seconds(measured.latency_p50)}, "
            f"{wording.count(measured.completed, 'run')}{lost}",
        ),
        _figure(
            "even split, mean",
            wording.seconds(even.latency_mean),
            f"at {wording.rate(even.throughput)}, p99 {wording.seconds(even.latency_p99)}",
        ),
    )


def _figure(name: str, text: str, note: str) -> Figure:
    value, _, unit = text.partition(" ")
    return Figure(name, value, unit, note)


def _compare(value: float, reference: float, more: str, less: str, what: str) -> str:
    if not reference > 0 or not value > 0:
        return f"no comparable {what}"
    ratio = value / reference
    word = more if ratio >= 1 else less
    return f"{wording.times(ratio if ratio >= 1 else 1 / ratio)} {word} {what}"
