"""What a replay measured: calls, and the rounds that they were sent in."""

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
"""What arrives open-loop."""

Kind = Literal["idle", "full"] | ReplayUnit
"""One burst at a time; as much as fits into the engine; open-loop."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One replayed call. Seconds.

    Attributes:
        unit: which arrival of the round it came with; calls of one unit are not independent.
        sent: from the start of the round. latency: to the last byte of the answer.
        ttft: to the first byte; None where the answer was not streamed.
        cached_tokens: of the prompt's; 0 where the engine does not tell.
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
        """Seconds per output token after the first; None where none was seen to come."""
        if self.ttft is None or self.output_tokens < 2:
            return None
        return (self.latency - self.ttft) / (self.output_tokens - 1)


@dataclass(frozen=True, slots=True)
class RoundSpec:
    """What to do next: `number` rounds of this kind and rate were done before."""

    kind: Kind
    rate: float
    number: int
    seconds: float

    def __str__(self) -> str:
        match self.kind:
            case "idle":
                return "idle"
            case "full":
                return "full"
            case _:
                return f"{self.rate:.3g} calls/s"


class Round(Record, frozen=True, kw_only=True):
    """A step that was done, as the journal keeps it.

    Attributes:
        key: of the job and all that its outcome depends on.
        rate: calls per second that were meant; 0 for idle and full.
        seconds: for how long calls were sent. wall: until the last answer had come.
    """

    key: str
    kind: Kind
    rate: float
    number: int
    seconds: float
    wall: float
    samples: tuple[Sample, ...]

    def after(self, warmup: float) -> list[Sample]:
        """The calls sent after the warm-up, a part of the round; an idle engine needs none."""
        early = 0.0 if self.kind == "idle" else warmup * self.seconds
        return [sample for sample in self.samples if sample.sent >= early]

    def load_seen(self, samples: Sequence[Sample]) -> float:
        """Calls per second that the others offer, as the mean of `samples` of this round sees it.

        To a run of a Poisson process the others are the whole process (Slivnyak's theorem); to one
        of N in a round they are N - 1. With three runs in a round the rate that was offered is half
        more than what its latency is the answer to.
        """
        of_unit = Counter(sample.unit for sample in self.samples)
        total = len(self.samples)
        return fmean(total - of_unit[sample.unit] for sample in samples) / self.seconds


@dataclass(frozen=True, slots=True)
class Typical:
    """A call of a workflow's mean length in tokens, and its mean duration while tracing.

    None is a length that no traced call told.
    """

    output_tokens: float | None
    prompt_tokens: float | None
    duration: float = 1.0

    @property
    def generates(self) -> bool:
        return self.output_tokens is not None and self.output_tokens > 1

    def length(self, sample: Sample) -> float:
        """What of a sample's length its latency depends on."""
        return sample.output_tokens if self.generates else sample.prompt_tokens

    @property
    def own_length(self) -> float | None:
        return self.output_tokens if self.generates else self.prompt_tokens


TypicalCalls = Mapping[str, Typical]
"""By workflow."""


def typical_calls(stream: Stream) -> dict[str, Typical]:
    """The typical call of each workflow."""
    return {name: typical(runs) for name, runs in stream.runs.items()}


def typical(runs: Runs) -> Typical:
    """The mean of all calls in `runs`."""
    calls: list[Call] = [call for run in runs for burst in run for call in burst.calls]
    return Typical(
        output_tokens=_known_mean([call.output_tokens for call in calls]),
        prompt_tokens=_known_mean([call.prompt_tokens for call in calls]),
        duration=fmean(call.duration for call in calls),
    )


def _known_mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
