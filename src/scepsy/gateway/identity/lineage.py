"""Infers the run of a call that names none: from ids that it echoes, its trace id, answers that its
prompt quotes, or its timing.

It has no clock: every method takes the time. Bounded in number, size and age: the entries that were
not used for longest are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scepsy.gateway.identity.active_runs import ActiveRuns
from scepsy.gateway.identity.labels import Identity
from scepsy.gateway.identity.lru import Recent
from scepsy.gateway.identity.quoted_answers import Quotes

IDS_MAX = 65_536  # ids that servers issued, and trace ids, that are remembered
OPENINGS_MAX = 4_096  # runs whose first words are remembered
ID_CHARS_MAX = 256  # of an id that is remembered
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its workflow."""

    run: str
    workflow: str


@dataclass(frozen=True, slots=True)
class Clues:
    """Evidence of the run that a call belongs to.

    Attributes:
        client: the caller's address.
        echoes: ids in the request that a server issued in an earlier answer.
        trace_id: trace id of the W3C `traceparent` header.
        prompt: text of the prompt; empty if the call names its run.
        opening: hash of the LLM and the first words of the prompt, which are usually the
            template's. A call that opens like the active run's first call may belong to that run or
            begin another one.
    """

    client: str
    echoes: tuple[str, ...] = ()
    trace_id: str | None = None
    prompt: str = ""
    opening: str = ""


@dataclass(slots=True)
class Lineage:
    """Remembers the runs that were seen, and the evidence that identifies their calls.

    Attributes:
        quiet_gap: seconds without a call after which a run counts as ended.
        workflow: workflow of calls that name none.
    """

    quiet_gap: float
    workflow: str
    _issued: Recent[str, frozenset[Run]] = field(
        default_factory=lambda: Recent(IDS_MAX, _size_of_ids)
    )
    _traces: Recent[str, Run] = field(default_factory=lambda: Recent(IDS_MAX, _size_of_trace))
    _openings: Recent[Run, str] = field(
        default_factory=lambda: Recent(OPENINGS_MAX, _size_of_opening)
    )
    _quotes: Quotes[Run] = field(default_factory=lambda: Quotes[Run](_size_of_run))
    _inferred: int = 0
    _active: ActiveRuns[Run] = field(init=False)

    def __post_init__(self) -> None:
        self._active = ActiveRuns[Run](self.quiet_gap)

    def begin(self, said: Identity, clues: Clues, now: float) -> Identity:
        """The call's identity, with the run filled in if it can be inferred, and always with a
        workflow. Call `end` for every call that begins.
        """
        for remembered in (self._issued, self._traces, self._openings, self._quotes):
            remembered.forget(now)
        identity = self._resolve(said, clues, now)
        run = _run_of(identity)
        self._active.began((clues.client, run.workflow), run, now)
        return identity

    def end(
        self, identity: Identity, clues: Clues, now: float, issued: Iterable[str], answer: str = ""
    ) -> None:
        """Records that a call has ended, the ids that its answer issued, and the answer's text."""
        run = _run_of(identity)
        self._active.ended((clues.client, run.workflow), run, now)
        known = None if run.run == UNKNOWN else run
        if clues.prompt:
            self._quotes.wrote(known, clues.prompt, answer, now)
        if known is not None:
            for one in issued:
                if len(one) > ID_CHARS_MAX:
                    continue
                runs = self._issued.get(one, now) or frozenset[Run]()
                if len(runs) < 2:  # an id that two runs were given identifies neither
                    self._issued.put(one, runs | {known}, now)

    def _resolve(self, said: Identity, clues: Clues, now: float) -> Identity:
        workflow = said.workflow or self.workflow
        if said.run is not None:
            self._see(clues.trace_id, Run(said.run, workflow), now)
            return Identity(said.run, workflow, said.layer, said.confidence)
        echoed = self._echoed(clues.echoes, now)
        if echoed is not None:
            self._see(clues.trace_id, echoed, now)
            return Identity(echoed.run, echoed.workflow, "echo", 0.9)
        traced = None if clues.trace_id is None else self._traces.get(clues.trace_id, now)
        if traced is not None:
            return Identity(traced.run, traced.workflow, "traceparent", 0.5)
        quoted = self._quotes.quoted_by(clues.prompt, now)
        if quoted is not None:
            self._see(clues.trace_id, quoted, now)
            return Identity(quoted.run, quoted.workflow, "quote", 0.7)
        return self._by_time(workflow, clues, now)

    def _echoed(self, ids: Iterable[str], now: float) -> Run | None:
        """The one run that the ids were issued in. An id issued in two runs identifies neither."""
        runs: set[Run] = set()
        for one in ids:
            issued = self._issued.get(one, now) or frozenset()
            if len(issued) == 1:
                runs |= issued
        return runs.pop() if len(runs) == 1 else None

    def _by_time(self, workflow: str, clues: Clues, now: float) -> Identity:
        """Joins the active run if there is exactly one; opens a run if there is none. The run stays
        unknown if several are active, or if the call may begin another one.

        A trace id that is seen for the first time proves nothing. If this call opened a run, later
        calls with its trace id follow it.
        """
        active = self._active.of((clues.client, workflow), now)
        if not active:
            self._inferred += 1
            opened = Run(f"time-{int(now * 1000):x}-{self._inferred}", workflow)
            self._see(clues.trace_id, opened, now)
            self._openings.put(opened, clues.opening, now)
            return Identity(opened.run, workflow, "time", 0.3)
        if clues.trace_id is not None:
            self._see(clues.trace_id, Run(clues.trace_id, workflow), now)
        same_opening = clues.opening and self._openings.get(active[0], now) == clues.opening
        if len(active) > 1 or active[0].run == UNKNOWN or same_opening:
            return Identity(workflow=workflow)
        return Identity(active[0].run, workflow, "time", 0.3)

    def _see(self, trace_id: str | None, run: Run, now: float) -> None:
        if trace_id is not None and self._traces.get(trace_id, now) is None:
            self._traces.put(trace_id, run, now)


def _size_of_run(run: Run) -> int:
    return 4 * (len(run.run) + len(run.workflow))  # a character takes up to four bytes


def _size_of_ids(one: str, runs: frozenset[Run]) -> int:
    return 4 * len(one) + sum(map(_size_of_run, runs))


def _size_of_trace(trace_id: str, run: Run) -> int:
    return len(trace_id) + _size_of_run(run)


def _size_of_opening(run: Run, opening: str) -> int:
    return _size_of_run(run) + len(opening)


def _run_of(identity: Identity) -> Run:
    """Calls of an unknown run count as one active run: the next call may belong to it."""
    return Run(identity.run or UNKNOWN, identity.workflow or "")
