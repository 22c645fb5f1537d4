"""The result in words: what was promised, what was measured, what an even split would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.report import wording
from scepsy.report.data import Measurement, Report, WorkflowSummary

SCATTER = 0.05
"""How far below the target a throughput may be measured: arrivals are random and runs are few."""


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
    met: bool
    sentence: str
    figures: tuple[Figure, ...]


def headline(report: Report) -> str:
    """The whole result in one sentence."""
    flows = report.summary.workflows
    met = sum(reached(flow.measured, flow.target_rate) for flow in flows)
    gpus = wording.count(report.plan.cluster.gpus, "GPU")
    error = max((abs(flow.latency_error) for flow in flows), default=0.0)
    if met == len(flows):
        who = {1: "The workflow reaches its target", 2: "Both workflows reach their targets"}.get(
            len(flows), f"All {len(flows)} workflows reach their targets"
        )
    else:
        who = f"{met} of {wording.count(len(flows), 'workflow')} reach their targets"
    return f"{who} on {gpus}; mean latency is predicted within {wording.percent(error)}"


def cards(flows: Sequence[WorkflowSummary]) -> tuple[Card, ...]:
    """One card per workflow."""
    return tuple(_card(flow) for flow in flows)


def reached(measured: Measurement, target_rate: float) -> bool:
    """Whether the throughput is the target's, within the scatter of random arrivals."""
    return measured.throughput >= target_rate * (1 - SCATTER)


def gain(flow: WorkflowSummary) -> str:
    """The plan against the even split, in latency and, where they differ, in throughput."""
    measured, even = flow.measured, flow.even_split
    parts = [_compare(even.latency_mean, measured.latency_mean, "lower", "higher", "mean latency")]
    if not reached(even, measured.throughput) or not reached(measured, even.throughput):
        parts.append(
            _compare(measured.throughput, even.throughput, "higher", "lower", "throughput")
        )
    return " and ".join(parts)


def _card(flow: WorkflowSummary) -> Card:
    measured = flow.measured
    met = reached(measured, flow.target_rate)
    verb = "sustains" if met else "falls short at"
    sentence = (
        f"{flow.workflow} {verb} {wording.rate(measured.throughput)} "
        f"(target {wording.rate(flow.target_rate)}) at a mean latency of "
        f"{wording.seconds(measured.latency_mean)}, predicted "
        f"{wording.seconds(flow.predicted.latency_mean)} "
        f"({wording.error(flow.latency_error, flow.chance)}); {gain(flow)} than under the even "
        "split."
    )
    return Card(flow.workflow, met, sentence, _figures(flow))


def _figures(flow: WorkflowSummary) -> tuple[Figure, ...]:
    measured, even, predicted = flow.measured, flow.even_split, flow.predicted
    lost = f", {measured.failed} failed" if measured.failed else ""
    return (
        _figure(
            "throughput",
            wording.rate(measured.throughput),
            f"target {wording.digits(flow.target_rate)}, "
            f"saturates at {wording.digits(predicted.saturation)}",
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
