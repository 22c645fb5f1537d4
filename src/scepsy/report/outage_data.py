"""What callers of a deployment saw while one of its nodes was lost."""

from __future__ import annotations

from scepsy.core.plan import Plan
from scepsy.core.record import Record


class SeenCall(Record, frozen=True, kw_only=True):
    """One call as the gateway recorded it. Times in seconds since the load began.

    Attributes:
        node: where it was answered; empty where it was not.
        attempts: replicas that were asked.
        error: why it failed; None where it did not.
        servable: of a failed call, whether a replica of its LLM on another node lived all the time.
    """

    llm: str
    node: str
    start: float
    end: float
    attempts: int = 1
    error: str | None = None
    servable: bool = False


class SeenRun(Record, frozen=True, kw_only=True):
    """One run of a workflow: seconds since the load began, and how long it took."""

    workflow: str
    start: float
    latency: float
    error: str | None = None


class Outage(Record, frozen=True, kw_only=True):
    """The loss of `node` at `lost_at` seconds after the load began.

    Attributes:
        served_at: when every replica of the plan served again; None where that was not reached.
        seconds: length of the load.
        before, after: the plan, and the plan on the nodes that were left.
        machine: what it all ran on.
        took: seconds of the whole demo.
    """

    node: str
    lost_at: float
    served_at: float | None
    seconds: float
    before: Plan
    after: Plan
    calls: tuple[SeenCall, ...]
    runs: tuple[SeenRun, ...]
    machine: str
    took: float

    @property
    def failed(self) -> tuple[SeenCall, ...]:
        """The calls that failed."""
        return tuple(call for call in self.calls if call.error is not None)

    @property
    def without_replica(self) -> tuple[str, ...]:
        """The LLMs all of whose replicas were on the node."""
        llms = {one.llm for one in self.before.placement.replicas}
        kept = {
            one.llm
            for one in self.before.placement.replicas
            if all(part.node != self.node for part in one.slices)
        }
        return tuple(sorted(llms - kept))

    @property
    def lost(self) -> tuple[SeenCall, ...]:
        """Those of them that a living replica could have served."""
        return tuple(call for call in self.failed if call.servable)
