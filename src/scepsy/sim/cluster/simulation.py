"""A whole deployment in simulated time: calls arrive, are routed, and are served by replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

from scepsy.errors import BadInput
from scepsy.routing.choose import Loaded, priority
from scepsy.routing.indexed import Fleet
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import CallListener
from scepsy.sim.engine.batch import EngineSequence


class Ask(NamedTuple):
    """A call that a workflow makes: `items` prompts of `prompt_tokens` tokens in total, each
    answered with `output_tokens` tokens. `blocks`: as in `EngineSequence`.

    `stage` is minus the number of calls that follow one after another, if the workflow knows it
    (some policies use it). `priority` is set by the program; without one, the router sets it.
    """

    llm: str
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    stage: int = 0
    items: int = 1
    priority: int | None = None


def _over(_call: ServedCall) -> None: ...


@dataclass(slots=True, eq=False)
class ServedCall:
    """A call from the time when it is sent, with its outcome once it has ended. Simulated
    seconds.
    """

    workflow: str
    run: int
    ask: Ask
    replica: str
    start: float
    then: Callable[[ServedCall], None]
    first_token: float = -1.0
    end: float = -1.0
    cached_tokens: int = 0
    left: int = 1

    @property
    def latency(self) -> float:
        return self.end - self.start

    def started(self, now: float) -> None:
        if self.first_token < 0:
            self.first_token = now

    def ended(self, now: float, cached: int) -> None:
        self.cached_tokens += cached
        self.left -= 1
        if not self.left:
            self.end = now
            then, self.then = (
                self.then,
                _over,
            )  # otherwise each call would keep its whole run in memory
            then(self)


@dataclass(slots=True)
class ServedRun:
    """A run from its arrival. `end` is -1 until it has ended."""

    workflow: str
    arrival: float
    end: float = -1.0

    @property
    def latency(self) -> float:
        return self.end - self.arrival


class Server(Loaded, Protocol):
    """Serves calls of one LLM: a `SimulatedReplica`, or a peer's system. `busy`: intervals in which
    it had calls. `preemptions`: how many sequences lost their KV and started again.
    """

    busy: list[tuple[float, float]]

    @property
    def preemptions(self) -> int: ...
    def report_to(self, report: Callable[[int], None]) -> None:
        """From now on calls `report` with `in_flight` whenever it changes."""
        ...

    def submit(self, sequence: EngineSequence, listener: CallListener) -> None: ...


@dataclass(slots=True)
class LlmReplicas:
    """The replicas of one LLM. A prompt together with its answer has at most `context` tokens."""

    replicas: Sequence[Server]
    context: int
    fleet: Fleet = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.replicas)
        for index, replica in enumerate(self.replicas):
            replica.report_to(partial(self.fleet.changed, index))


class Policy(Protocol):
    """A routing policy in place of ours. `choose` returns the index of a replica and a priority in
    its queue. `ended` is called with every call that has ended.
    """

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]: ...
    def ended(self, call: ServedCall) -> None: ...


@dataclass(slots=True)
class Simulation:
    """Routes and orders calls with the functions that the gateway uses and the same affinity (the
    run), unless another `policy` is given.

    `runs` and `calls` hold all that have started, in the order of their start.
    """

    events: EventQueue
    llms: Mapping[str, LlmReplicas]
    policy: Policy | None = None
    runs: list[ServedRun] = field(default_factory=list[ServedRun])
    calls: list[ServedCall] = field(default_factory=list[ServedCall])
    _sequences: int = 0

    def begin_run(self, workflow: str) -> int:
        """Starts a run now. Returns its number."""
        self.runs.append(ServedRun(workflow, self.events.now))
        return len(self.runs) - 1

    def end_run(self, run: int) -> None:
        self.runs[run].end = self.events.now

    def call(self, run: int, ask: Ask, then: Callable[[ServedCall], None]) -> None:
        """Sends a call now. `then` is called when it has ended.

        Raises BadInput for an LLM that the plan lacks, or a call that is too long for its LLM.
        """
        group = self._group(ask)
        replicas = group.replicas
        workflow = self.runs[run].workflow
        if self.policy is None:
            index = group.fleet.choose(str(run))
            rank = priority(self.runs[run].arrival) if ask.priority is None else ask.priority
        else:
            index, rank = self.policy.choose(workflow, run, ask, replicas, self.events.now)
            then = _both(self.policy.ended, then)
        replica = replicas[index]
        call = ServedCall(workflow, run, ask, replica.replica, self.events.now, then)
        self.calls.append(call)
        if ask.items == 1:
            self._submit(replica, call, rank, ask.prompt_tokens, ask.blocks)
            return
        call.left = ask.items
        for item in range(ask.items):
            tokens = (ask.prompt_tokens + item) // ask.items
            self._submit(replica, call, rank, max(1, tokens), ())

    def _submit(
        self, replica: Server, call: ServedCall, rank: int, tokens: int, blocks: tuple[int, ...]
    ) -> None:
        self._sequences += 1
        output = call.ask.output_tokens
        replica.submit(EngineSequence(self._sequences, tokens, output, blocks, rank), call)

    def _group(self, ask: Ask) -> LlmReplicas:
        group = self.llms.get(ask.llm)
        if group is None:
            known = ", ".join(sorted(self.llms)) or "none"
            raise BadInput(f"a workflow calls {ask.llm!r}, which the plan lacks; it has {known}")
        tokens = -(-ask.prompt_tokens // ask.items) + ask.output_tokens
        if ask.prompt_tokens < 1 or tokens > group.context:
            raise BadInput(
                f"a call of {ask.prompt_tokens} prompt and {ask.output_tokens} output tokens does "
                f"not fit {ask.llm!r}, which takes 1 to {group.context} tokens"
            )
        return group


def _both(
    one: Callable[[ServedCall], None], other: Callable[[ServedCall], None]
) -> Callable[[ServedCall], None]:
    def ended(call: ServedCall) -> None:
        one(call)
        other(call)

    return ended
