"""What traced runs say of all runs: the interval holds the truth as often as it claims, shrinks
with more runs, and knows that other runs would load the engines otherwise.
"""

from __future__ import annotations

import math
import random
from functools import cache

import pytest
from msgspec.structs import replace as copied

from builders import call, curve, trace
from scepsy.core.plan import (
    Allocation,
    IntervalParts,
    LlmAllocation,
    Prediction,
    Target,
    WorkflowPrediction,
)
from scepsy.core.trace import Trace
from scepsy.planning.uncertainty import with_intervals
from scepsy.predict import Pipeline, ReplayPredictor, recordings, responses
from scepsy.predict.interval import half_width
from scepsy.traces.summarize import summarize

ALLOCATION = Allocation(
    llms=(LlmAllocation(llm="a", tp=1, gpu_share=1, memory_share=1, replicas=1),)
)
CALLS, LENGTH = 4.0, 0.5
"""Mean calls per run, and mean seconds of a call alone."""
SAMPLES, SAMPLE = 200, 60
"""How many samples of traced runs are tried, and how many runs each has."""


def runs(count: int, seed: int) -> list[Trace]:
    """Runs of one to seven calls, one after another, each of exponential length."""
    rng = random.Random(seed)
    found: list[Trace] = []
    for number in range(count):
        now, calls = 0.0, []
        for index in range(rng.randint(1, 7)):
            end = now + rng.expovariate(1 / LENGTH)
            calls.append(call("a", now, end, run=f"r{number}", call=f"{number}/{index}"))
            now = end
        found.append(trace(*calls, run=f"r{number}"))
    return found


def predicted(traces: list[Trace], rate: float) -> Prediction:
    """At `rate` on one engine that serves one call at a time (M/M/1), as a profile made of the
    traced calls would have it.
    """
    demands = summarize(traces)
    mean = demands[0].llms[0].duration
    utilisations = [1 - 0.9**step for step in range(40)]
    known = curve("a", {u / mean: mean / (1 - u) for u in utilisations}, max_throughput=1 / mean)
    pipeline = Pipeline(demands, (Target(workflow="w", rate=rate),), responses([known]))
    recorded = recordings(traces)
    found = ReplayPredictor(pipeline, recorded).predict(ALLOCATION)
    return with_intervals(found, pipeline, ALLOCATION, recorded)


def parts(flow: WorkflowPrediction) -> IntervalParts:
    assert flow.interval_parts is not None
    return flow.interval_parts


@cache
def coverage(utilisation: float) -> float:
    """How often the truth lies within the interval, were the traced runs the only cause."""
    truth = CALLS * LENGTH / (1 - utilisation)
    held = 0
    for seed in range(SAMPLES):
        rate = utilisation / (CALLS * LENGTH)
        (flow,) = predicted(runs(SAMPLE, seed), rate).workflows
        if math.isfinite(flow.latency_mean):
            held += abs(math.log(flow.latency_mean / truth)) <= parts(flow).runs
    return held / SAMPLES


@pytest.mark.parametrize("utilisation", [0.05, 0.6])
def test_the_90_percent_interval_contains_the_true_mean_in_90_percent(utilisation: float) -> None:
    assert 0.85 <= coverage(utilisation) <= 0.95


def test_four_times_the_runs_halve_the_part_of_the_runs() -> None:
    few = runs(200, 0)
    more = [
        copied(one, run=f"{copy}-{one.run}", calls=tuple(copied(c, run=f"{copy}-{one.run}")
                                                         for c in one.calls))
        for copy in range(4)
        for one in few
    ]  # fmt: skip
    once, fourfold = (parts(predicted(of, 0.2).workflows[0]) for of in (few, more))
    assert fourfold.runs == pytest.approx(once.runs / 2, rel=0.1)
    assert (once.traced, fourfold.traced) == (200, 800)


def test_the_interval_includes_the_effect_of_runs_on_load() -> None:
    """Where W is the work of a run, its latency is W / (1 - x W), which moves 1 / (1 - u) times as
    far as W does.
    """
    traced = runs(400, 1)
    work = sum(one.duration for run in traced for one in run.calls) / len(traced)
    idle, busy = (parts(predicted(traced, u / work).workflows[0]) for u in (0.001, 0.8))
    assert busy.runs == pytest.approx(idle.runs / (1 - 0.8), rel=0.15)


def test_two_predictions_of_the_same_runs_are_the_same() -> None:
    assert predicted(runs(30, 2), 0.2) == predicted(runs(30, 2), 0.2)


def test_one_traced_run_gives_no_interval() -> None:
    (flow,) = predicted(runs(1, 0), 0.01).workflows
    assert flow.interval_parts is None
    assert flow.latency_low is None


def test_each_cause_adds_its_own_part_of_the_interval() -> None:
    traced = runs(100, 0)
    demands, recorded = summarize(traced), recordings(traced)
    plain = curve("a", {0.0: 0.5, 1.0: 1.0})
    noisy = copied(plain, points=tuple(copied(one, noise=0.1) for one in plain.points))
    target = Target(workflow="w", rate=0.1)

    def of(known: object) -> IntervalParts:
        pipeline = Pipeline(demands, (target,), responses([known]))  # type: ignore[list-item]
        found = ReplayPredictor(pipeline, recorded).predict(ALLOCATION)
        return parts(with_intervals(found, pipeline, ALLOCATION, recorded).workflows[0])

    quiet, loud, estimated = of(plain), of(noisy), of(copied(plain, error=0.1))
    assert quiet.curves == quiet.estimate == 0.0
    assert quiet.model > 0
    assert loud == copied(quiet, curves=loud.curves)
    assert loud.curves > 0.05
    assert estimated == copied(quiet, estimate=estimated.estimate)
    assert estimated.estimate == pytest.approx(1.645 * 0.1 * (math.pi / 2) ** 0.5)
    assert half_width(loud) > half_width(quiet)
