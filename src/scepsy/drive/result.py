"""The result of driving workflows."""

from __future__ import annotations

from scepsy.core.record import Record
from scepsy.drive.engine_load import LlmLoad
from scepsy.traces.latency_trend import LoadVerdict


class RunOutcome(Record, frozen=True, kw_only=True):
    """One run: when it was due, in seconds since the measured window began, and how long after that
    it ended. `error` says why it failed, None when it did not. `run` names it in the traces.
    """

    arrival: float
    latency: float
    run: str = ""
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


class WorkflowMeasurement(Record, frozen=True, kw_only=True):
    """One workflow over the measured window. Rates per second; latencies in seconds, over the runs
    that succeeded, and None where none did.

    Attributes:
        offered: runs that arrived. offered_rate: the same per second.
        completed, failed: what became of them, whenever they ended.
        unfinished: runs that were open when the drive was interrupted. Long runs are more likely to
            be open than short ones, so the latencies of the others are too low.
        throughput: successful runs that ended in the window per second, counted, with its 90%
            interval from `throughput_low` to `throughput_high`.
        verdict: whether the offered rate is sustained, that is, whether latency stops growing.
        latency_growth: seconds of latency gained per second; 0 unless significantly positive.
        latency_p99: also None for fewer than 100 successful runs.
        standard_error: of the mean latency, from batch means; None for fewer than two runs.
        runs: every measured run, in order of arrival.
    """

    workflow: str
    offered: int
    offered_rate: float
    completed: int
    failed: int
    throughput: float
    throughput_low: float
    throughput_high: float
    verdict: LoadVerdict
    latency_mean: float | None
    latency_p50: float | None
    latency_p90: float | None
    latency_p99: float | None
    latency_growth: float
    standard_error: float | None
    runs: tuple[RunOutcome, ...]
    unfinished: int = 0


class DriveResult(Record, frozen=True, kw_only=True):
    """All workflows that were driven at once.

    `duration` is the length of the measured window in seconds; where the drive was `interrupted`,
    what had passed of it. `lag` is the mean delay in seconds with which the driver started runs
    after they were due. It is part of their latency: where it matters, the driver itself was too
    slow.

    `llms` is what engines reported in the measured window. An LLM whose engines report nothing is
    not in it.
    """

    workflows: tuple[WorkflowMeasurement, ...]
    duration: float
    warmup: float
    seed: int
    lag: float
    interrupted: bool = False
    llms: tuple[LlmLoad, ...] = ()
