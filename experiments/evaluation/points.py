"""One point of E1: every system on one spot at one rate; and how far a system's rate reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

import msgspec

from evaluation.deployed import described
from evaluation.measure import Measured, Offered, measured, over, standard_error
from evaluation.problems import Spot, alone, highest, measured_seed, problem, traced_seed
from evaluation.stored import stored
from evaluation.systems import SYSTEMS, decided, placement_at
from scepsy.core.plan import Infeasible
from scepsy.planning.problem import Problem
from scepsy.predict.interval import interval

OURS = ("Scepsy", "Scepsy, parts of groups")
LATENCIES, RUNS = 30, 150
"""The least length of a measurement: so many times a traced run, so many runs of each workflow."""
BOUND = 2.0
"""The latency bound: so many times what a run takes alone, with one replica of each LLM at its
smallest TP degree on whole GPUs (as it was traced).
"""
BEYOND, STEPS = 1.6, 5
"""The greatest rate, as part of the highest one of ours, at which the reach is sought, and how
often the part between is halved."""


class Point(NamedTuple):
    """`part` of the highest rate, for at most `calls` calls."""

    spot: Spot
    part: float
    calls: int
    systems: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.spot))} at {self.part:g}"


class Reach(NamedTuple):
    spot: Spot
    calls: int
    system: str

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.spot))} {self.system}"


@dataclass(frozen=True, slots=True)
class Predicted:
    """A mean latency in seconds with its 90% interval, and the half-widths, relative, that make it
    up. Curves are estimated from the very step times that the measurement is simulated with, so the
    part for estimated curves is left out.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    runs: float | None = None
    curves: float | None = None
    model: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One workflow of a case under one system. Seconds and runs per second; `latency_*` None and
    `why` given where the system has no placement.

    Attributes:
        sample: the series of runs that planners knew.
        standard_error: that of `latency_mean`.
        predicted: by our own plan.
        over: by system of ours, how much greater the case's total is with it, and +- how much
            (95%).
    """

    case: str
    workflow: str
    gpu_type: str
    gpus: int
    system: str
    part: float
    rate: float
    throughput: float | None = None
    latency_mean: float | None = None
    latency_p99: float | None = None
    runs: int = 0
    sustained: bool = False
    sample: int = 0
    standard_error: float | None = None
    predicted: Predicted | None = None
    over: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    placement: str = ""
    why: str = ""


@stored
def rows_at(point: Point) -> list[Row]:
    """A system whose placement and policy another one had before gets that one's measurement."""
    one = problem(point.spot)
    scale = point.part * highest(point.spot)
    seed = measured_seed(point.spot.gpu_type, point.spot.gpus)
    offered = Offered(length(point.spot, scale, point.calls), seed=seed)
    known: dict[object, Measured] = {}
    ours: dict[str, Measured] = {}
    found: list[Row] = []
    for system in SYSTEMS:
        if system.name not in point.systems:
            continue
        placement = placement_at(system, one, scale)
        if isinstance(placement, Infeasible):
            found += _without(point, one, scale, system.name, placement.reason)
            continue
        policy = system.policy(one)
        key = placement, type(policy)
        if key not in known:
            known[key] = measured(one, scale, placement, policy, offered)
        result = known[key]
        if system.name in OURS:
            ours[system.name] = result
        text = described(placement)
        found += _rows(point, one, scale, system.name, result, ours, text)
    return found


def _without(point: Point, one: Problem, scale: float, system: str, why: str) -> list[Row]:
    case, gpu_type, gpus = point.spot
    return [
        Row(case, of.workflow, gpu_type, gpus, system, point.part, of.rate * scale, why=why)
        for of in one.targets
    ]


def _rows(
    point: Point,
    one: Problem,
    scale: float,
    system: str,
    result: Measured,
    ours: Mapping[str, Measured],
    placement: str,
) -> list[Row]:
    case, gpu_type, gpus = point.spot
    predicted = _predicted(one, scale) if system == OURS[0] else {}
    more = {name: over(mine, result) for name, mine in ours.items()}
    return [
        Row(
            case,
            target.workflow,
            gpu_type,
            gpus,
            system,
            point.part,
            target.rate * scale,
            throughput=of.throughput,
            latency_mean=of.latency.mean,
            latency_p99=of.latency.p99,
            runs=of.runs,
            sustained=result.sustained(of.workflow),
            sample=traced_seed(gpu_type, gpus),
            standard_error=standard_error(result.latencies[target.workflow]),
            predicted=predicted.get(target.workflow),
            over=more,
            placement=placement,
        )
        for target in one.targets
        for of in [result.workflows[target.workflow]]
    ]


def length(spot: Spot, scale: float, calls: int) -> float:
    """Long enough for a steady state, as far as `calls` allow."""
    one = problem(spot)
    wanted = max(
        *(LATENCIES * alone for alone in alone(spot).values()),
        *(RUNS / (scale * target.rate) for target in one.targets),
    )
    return min(wanted, calls / (_calls_per_run(one) * scale))


def _calls_per_run(one: Problem) -> float:
    """Calls per unit of scale: runs of each workflow times their calls."""
    rates = {target.workflow: target.rate for target in one.targets}
    return sum(
        rates[demand.workflow] * sum(llm.calls for llm in demand.llms) for demand in one.demands
    )


def _predicted(one: Problem, scale: float) -> Mapping[str, Predicted]:
    decision = decided(one.scaled(scale))
    if isinstance(decision, Infeasible):
        return {}
    found: dict[str, Predicted] = {}
    for flow in decision.prediction.workflows:
        mean, parts = flow.latency_mean, flow.interval_parts
        if parts is not None:
            low, high = interval(mean, msgspec.structs.replace(parts, estimate=0.0))
            widths = parts.runs, parts.curves, parts.model
            found[flow.workflow] = Predicted(mean, low, high, *widths)
        elif isfinite(mean):
            found[flow.workflow] = Predicted(mean)
    return found


@stored
def reach(asked: Reach) -> float:
    """The greatest part of the highest rate that the system sustains with the mean latency of every
    workflow within the bound, to `BEYOND / 2**STEPS`; 0 where not even that.
    """
    one = problem(asked.spot)
    system = next(of for of in SYSTEMS if of.name == asked.system)
    bounds = {name: BOUND * alone for name, alone in alone(asked.spot).items()}

    def carried(part: float) -> bool:
        scale = part * highest(asked.spot)
        placement = placement_at(system, one, scale)
        if isinstance(placement, Infeasible):
            return False
        seed = measured_seed(asked.spot.gpu_type, asked.spot.gpus)
        offered = Offered(length(asked.spot, scale, asked.calls), seed=seed)
        result = measured(one, scale, placement, system.policy(one), offered)
        return all(
            result.sustained(name) and of.latency.mean <= bounds[name]
            for name, of in result.workflows.items()
        )

    low, high = 0.0, BEYOND
    for _ in range(STEPS):
        middle = (low + high) / 2
        if carried(middle):
            low = middle
        else:
            high = middle
    return low
