"""How an engine fares with more and more runs under way (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.curves.batch_means import estimate
from scepsy.curves.bursts import Stream
from scepsy.curves.rounds import Sample, Usual, usual_calls
from scepsy.estimate.queueing.run_cycle import circle_of
from scepsy.estimate.queueing.simulated_rounds import EngineModel
from scepsy.sim.cluster.simulation import ServedCall

RUNS, FEWEST, MOST, WAVES = 10, 400, 1500, 10
"""Calls of a round: those of so many runs, but at least and at most so many for each workflow; and
so many bursts of every run that is under way.
"""
WARMUP = 0.4
"""First part of a round, which is not counted: at its beginning all are served at once."""
GAP = 30.0
"""No gap is longer than so many calls of an idle engine: where runs are elsewhere most of the time,
who waits here does not depend on for how long, and crowds would be large.
"""
CLOSE = 1.1
"""Crowds are doubled as long as a run gets no more than so many times as long."""
LEVEL, BEYOND, COLLAPSED = 1.03, 24, 0.7
"""From where so many times fewer calls come back than at the most, crowds grow by that many runs,
and to twice their size: they queue. Where fewer than the last part come back, they grow no more.
"""


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many runs under way: calls per second that come back; and of each workflow, what they
    took, their mean latency at usual lengths, and its standard error.
    """

    runs: int
    rate: float
    samples: Mapping[str, Sequence[Sample]]
    latency: Mapping[str, float]
    noise: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Of every run under way, from one call to its next."""
        return self.runs / self.rate


def crowds_of(engine: EngineModel, stream: Stream) -> list[Crowd]:
    """Of growing size, the first of one run."""
    usual, whole = usual_calls(stream), circle_of(stream)
    base = round(min(MOST, max(FEWEST, RUNS * stream.chain_calls(whole=True))) * len(stream.runs))
    call = fmean(call.latency for call in engine.serve(whole, 1, base // 4))
    circle = circle_of(stream, GAP * call)
    crowds: list[Crowd] = []
    size = 1
    while size:
        calls = max(base, round(WAVES * size * stream.burst_size))
        crowds.append(_crowd(size, engine.serve(circle, size, calls), usual))
        size = _next(crowds)
    return crowds


def _next(crowds: Sequence[Crowd]) -> int:
    """The size of the next crowd; 0 where enough is known."""
    last = crowds[-1]
    most = max(one.rate for one in crowds)
    knee = next(one.runs for one in crowds if one.rate * LEVEL >= most)
    if last.rate < COLLAPSED * most or last.runs >= max(2 * knee, knee + BEYOND):
        return 0
    crowded = len(crowds) > 1 and last.seconds > CLOSE * crowds[-2].seconds
    return max(last.runs + 1, int((1.5 if crowded else 2) * last.runs))


def _crowd(size: int, served: Sequence[ServedCall], usual: Usual) -> Crowd:
    begin, end = served[int(WARMUP * len(served))].start, served[-1].start
    samples: dict[str, list[Sample]] = {}
    for call in served:
        if begin <= call.end <= end:
            samples.setdefault(call.workflow, []).append(_sample(call))
    known = {name: estimate([of], {name: usual[name]}) for name, of in samples.items()}
    return Crowd(
        size,
        sum(map(len, samples.values())) / max(end - begin, 1e-9),
        samples,
        {name: one.mean for name, one in known.items()},
        {name: one.noise for name, one in known.items()},
    )


def _sample(call: ServedCall) -> Sample:
    first = call.first_token - call.start
    return Sample(
        workflow=call.workflow,
        unit=call.run,
        sent=call.start,
        latency=call.latency,
        output_tokens=call.ask.output_tokens,
        prompt_tokens=call.ask.prompt_tokens,
        ttft=first if call.ask.output_tokens else None,
        cached_tokens=call.cached_tokens,
    )
