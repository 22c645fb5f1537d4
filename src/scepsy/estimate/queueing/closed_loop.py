"""Latency and throughput of one engine at each number of concurrent runs, simulated as a closed
queueing network (pure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.curves.batch_means import mean_latency
from scepsy.curves.bursts import Stream
from scepsy.curves.rounds import Sample, TypicalCalls, typical_calls
from scepsy.curves.simulated_engine import EngineModel, sample_of
from scepsy.estimate.queueing.run_cycle import run_cycle
from scepsy.estimate.queueing.simulated_rounds import serve
from scepsy.sim.cluster.simulation import ServedCall

RUNS_PER_ROUND = 10
"""A round simulates the calls of this many runs of each workflow, within the two bounds below."""

CALLS_PER_ROUND_MIN = 400
"""Per workflow. Below this the mean latency is noisier than 5%."""

CALLS_PER_ROUND_MAX = 1500
"""Per workflow. More would add time but little accuracy."""

BURSTS_PER_CLIENT_MIN = 10
"""Bursts that each concurrent run sends in a round at least, so that a large population settles."""

WARMUP = 0.4
"""Fraction of a round's calls that is not counted: at its beginning the cache is cold and all runs
start at once.
"""

THINK_TIME_MAX = 30.0
"""Cap on think time (the gap between two bursts), in idle-engine call durations. A run that spends
most of its time elsewhere contributes a nearly independent arrival, so a longer think time would
only make the closed network larger.
"""

QUEUEING = 1.1
"""While a run's time per call grows by less than this factor from one population to the next, the
engine does not queue and the population is doubled; afterwards it grows by half.
"""

SATURATED = 1 / 1.03
"""The engine counts as saturated once throughput reaches this fraction of its peak."""

BEYOND_SATURATION = 24
"""Number of runs to simulate beyond saturation (or as many again, if that is more), to see how
throughput falls when the KV cache is too small for all runs.
"""

COLLAPSED = 0.7
"""The simulation stops when throughput falls below this fraction of the peak."""


@dataclass(frozen=True, slots=True)
class Population:
    """The result of one round with a constant number of concurrent runs.

    Attributes:
        runs: concurrent runs, N.
        rate: calls per second that the engine completed, X(N).
        samples: by workflow, its calls.
        latency: by workflow, mean seconds of a call of typical length, L(N).
        noise: by workflow, standard error of that mean.
    """

    runs: int
    rate: float
    samples: Mapping[str, Sequence[Sample]]
    latency: Mapping[str, float]
    noise: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Mean seconds of a run from one call to its next (Little's law)."""
        return self.runs / self.rate


def closed_loop(engine: EngineModel, stream: Stream) -> list[Population]:
    """Rounds with a rising number of concurrent runs, from one run until beyond saturation."""
    typical, uncapped = typical_calls(stream), run_cycle(stream)
    calls_of_runs = RUNS_PER_ROUND * stream.chain_calls(whole=True)
    per_workflow = min(CALLS_PER_ROUND_MAX, max(CALLS_PER_ROUND_MIN, calls_of_runs))
    calls_min = round(per_workflow * len(stream.runs))
    idle = fmean(call.latency for call in serve(engine, uncapped, 1, calls_min // 4))
    runs = run_cycle(stream, THINK_TIME_MAX * idle)
    populations: list[Population] = []
    size = 1
    while size:
        calls = max(calls_min, round(BURSTS_PER_CLIENT_MIN * size * stream.burst_size))
        populations.append(_population(size, serve(engine, runs, size, calls), typical))
        size = _next_size(populations)
    return populations


def _next_size(populations: Sequence[Population]) -> int:
    """The number of runs to simulate next; 0 when the curve is complete."""
    last = populations[-1]
    peak = max(one.rate for one in populations)
    knee = next(one.runs for one in populations if one.rate >= SATURATED * peak)
    if last.rate < COLLAPSED * peak or last.runs >= max(2 * knee, knee + BEYOND_SATURATION):
        return 0
    queues = len(populations) > 1 and last.seconds > QUEUEING * populations[-2].seconds
    return max(last.runs + 1, int((1.5 if queues else 2) * last.runs))


def _population(size: int, served: Sequence[ServedCall], typical: TypicalCalls) -> Population:
    begin, end = served[int(WARMUP * len(served))].start, served[-1].start
    samples: dict[str, list[Sample]] = {}
    for call in served:
        if begin <= call.end <= end:
            samples.setdefault(call.workflow, []).append(sample_of(call))
    known = {name: mean_latency([of], {name: typical[name]}) for name, of in samples.items()}
    return Population(
        size,
        sum(map(len, samples.values())) / max(end - begin, 1e-9),
        samples,
        {name: one.mean for name, one in known.items()},
        {name: one.noise for name, one in known.items()},
    )
