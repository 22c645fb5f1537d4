"""What a workflow asks of its LLMs, summarised over its runs."""

from __future__ import annotations

from scepsy.core.record import Record


class Spread(Record, frozen=True, kw_only=True):
    """A distribution over runs.

    Attributes:
        mean: arithmetic mean.
        cv: coefficient of variation: standard deviation divided by the mean.
        p10, p50, p90: 10th, 50th and 90th percentile.
    """

    mean: float
    cv: float
    p10: float
    p50: float
    p90: float


class LlmDemand(Record, frozen=True, kw_only=True):
    """What one run of a workflow asks of one LLM, on average.

    Attributes:
        llm: name of the LLM.
        calls: n, mean number of calls per run.
        parallelism: p, (sum of call durations) / (union of call intervals), averaged over the runs.
            The weight of a run is the time that it spends in the LLM.
        busy: mean seconds per run in which at least one call of this LLM was open.
        duration: mean seconds of a call while tracing. 0 if no call has a known duration; then
            `parallelism`, `busy` and `time_share` are unknown, too.
        time_share: this LLM's part of a run's total LLM time.
        prompt_tokens, cached_tokens, output_tokens: mean per call; None if unknown for every call.
    """

    llm: str
    calls: float
    parallelism: float
    busy: float
    duration: float
    time_share: Spread
    prompt_tokens: float | None = None
    cached_tokens: float | None = None
    output_tokens: float | None = None


class Demand(Record, frozen=True, kw_only=True):
    """What one workflow asks of its LLMs.

    Attributes:
        workflow: name of the workflow.
        runs: number of traced runs.
        latency: seconds from a run's start to its end.
        other_time: mean seconds of run latency that no stage of the pipeline explains: tools and
            the client's own work, minus the time in which calls of different LLMs overlap. May be
            negative.
        llms: one entry for each LLM that the workflow calls.
    """

    workflow: str
    runs: int
    latency: Spread
    other_time: float
    llms: tuple[LlmDemand, ...]
