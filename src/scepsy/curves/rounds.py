"""What a replay measured: calls, and the rounds in which they were sent (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import msgspec

from scepsy.core.record import Record
from scepsy.core.trace import Call
from scepsy.curves.bursts import Runs, Stream

ReplayUnit = Literal["bursts", "runs"]
"""What arrives open-loop: single bursts, or whole runs."""

RoundKind = Literal["idle", "full"] | ReplayUnit
"""How calls are sent: one burst at a time ("idle"), so many at once that the engine is always full
("full"), or open-loop.
"""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One replayed call.

    Attributes:
        unit: number of the arrival of the round to which the call belongs. Calls of one unit are
            not independent.
        sent: seconds from the start of the round.
        latency: seconds from sending to the last byte of the answer.
        ttft: seconds from sending to the first byte; None where the answer was not streamed.
        cached_tokens: prompt tokens that were in the prefix cache; 0 where the engine does not
            report them.
    """

    workflow: str
    unit: int
    sent: float
    latency: float
    output_tokens: int
    prompt_tokens: int
    ttft: float | None = None
    cached_tokens: int = 0

    @property
    def tpot(self) -> float | None:
        """Seconds per output token after the first; None where the answer was not streamed or has
        one token.
        """
        if self.ttft is None or self.output_tokens < 2:
            return None
        return (self.latency - self.ttft) / (self.output_tokens - 1)


@dataclass(frozen=True, slots=True)
class RoundSpec:
    """A round to play, for `seconds`, at `rate` calls per second. `number` rounds of the same kind
    and rate were played before.
    """

    kind: RoundKind
    rate: float
    number: int
    seconds: float

    def __str__(self) -> str:
        match self.kind:
            case "idle":
                return "one burst at a time"
            case "full":
                return "engine kept full"
            case _:
                return f"{self.rate:.3g} calls/s"


class Round(Record, frozen=True, kw_only=True):
    """A round that was played, as `RoundLog` keeps it.

    Attributes:
        key: digest of the job and of everything else that the outcome depends on.
        rate: calls per second that were to be offered; 0 for "idle" and "full".
        seconds: how long calls were sent.
        wall: seconds until the last answer had come.
    """

    key: str
    kind: RoundKind
    rate: float
    number: int
    seconds: float
    wall: float
    samples: tuple[Sample, ...]

    def after(self, warmup: float) -> list[Sample]:
        """The calls that were sent after the first `warmup` (a fraction) of the round. Rounds of
        kind "idle" need no warm-up.
        """
        early = 0.0 if self.kind == "idle" else warmup * self.seconds
        return [sample for sample in self.samples if sample.sent >= early]

    def load_seen(self, samples: Sequence[Sample]) -> float:
        """Calls per second that the other arrivals of the round offer, as the mean call of
        `samples` sees them.

        In a Poisson process of runs, an arriving run sees the whole process as the others
        (Slivnyak's theorem). One of the N runs of a round sees only N - 1. With three runs in a
        round, the rate that was offered is 1.5 times the load that the latencies belong to.
        """
        of_unit = Counter(sample.unit for sample in self.samples)
        total = len(self.samples)
        return fmean(total - of_unit[sample.unit] for sample in samples) / self.seconds


@dataclass(frozen=True, slots=True)
class TypicalCall:
    """A call of the mean length, in tokens, and of the mean traced duration, in seconds, of one
    workflow's calls. A length that no traced call reports is None.
    """

    output_tokens: float | None
    prompt_tokens: float | None
    duration: float = 1.0

    @property
    def generates(self) -> bool:
        return self.output_tokens is not None and self.output_tokens > 1

    def length(self, sample: Sample) -> float:
        """The length in tokens on which a sample's latency depends: output tokens of calls that
        generate, else prompt tokens.
        """
        return sample.output_tokens if self.generates else sample.prompt_tokens

    @property
    def own_length(self) -> float | None:
        """The typical call's own length, as in `length`."""
        return self.output_tokens if self.generates else self.prompt_tokens


TypicalCalls = Mapping[str, TypicalCall]
"""The typical call of each workflow, by name."""


def typical_calls(stream: Stream) -> dict[str, TypicalCall]:
    """The typical call of each workflow."""
    return {name: typical(runs) for name, runs in stream.runs.items()}


def typical(runs: Runs) -> TypicalCall:
    """The mean of all calls in `runs`."""
    calls: list[Call] = [call for run in runs for burst in run for call in burst.calls]
    return TypicalCall(
        output_tokens=_known_mean([call.output_tokens for call in calls]),
        prompt_tokens=_known_mean([call.prompt_tokens for call in calls]),
        duration=fmean(call.duration for call in calls),
    )


def _known_mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
