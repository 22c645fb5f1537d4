"""A pool member that computes prompts: groups of calls of one LLM, in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scepsy.core.llm import LlmSpec
from scepsy.hardware.step_time import StepLoad, Timer
from scepsy.peers.aegaeon.weights import Weights, kv_bytes
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import CallListener
from scepsy.sim.engine.batch import EngineSequence

GROUP_SIZE_MAX = 8
"""Calls of one LLM that are served before the next LLM's turn, as published."""
STEP_TOKENS_MAX = 2048
"""Prompt tokens that are computed together: the token budget of our simulated engines."""


@dataclass(frozen=True, slots=True, eq=False)
class PooledCall:
    """A call of an LLM on its way through the pool."""

    llm: LlmSpec
    sequence: EngineSequence
    listener: CallListener


@dataclass(slots=True, eq=False)
class PrefillMember:
    """`done` is called with every call at the time when its prompt has been computed."""

    weights: Weights
    timers: Mapping[str, Timer]
    events: EventQueue
    done: Callable[[PooledCall], None]
    groups: deque[deque[PooledCall]] = field(default_factory=deque[deque[PooledCall]])
    waiting: int = 0
    _last: dict[str, deque[PooledCall]] = field(default_factory=dict[str, deque[PooledCall]])
    _busy: bool = False

    def lacks(self, llm: LlmSpec) -> bool:
        return self.weights.resident is not llm

    def group_of(self, llm: LlmSpec) -> deque[PooledCall] | None:
        """The first group of that LLM that has a place; None if all are full. Only two can have
        one: the group that is being served, which shrinks, and the LLM's last group.
        """
        for group in (self.groups[0] if self.groups else None, self._last.get(llm.name)):
            if group and group[0].llm is llm and len(group) < GROUP_SIZE_MAX:
                return group
        return None

    def add(self, call: PooledCall) -> None:
        group = self.group_of(call.llm)
        if group is None:
            group = deque[PooledCall]()
            self.groups.append(group)
            self._last[call.llm.name] = group
        group.append(call)
        self.waiting += 1
        if not self._busy:
            self._busy = True
            self._next()

    def _next(self) -> None:
        """Make the first group's LLM the resident one."""
        seconds = self.weights.switch(self.groups[0][0].llm, self.events.now)
        self.events.at(self.events.now + seconds, self._compute, None)

    def _compute(self, _: None) -> None:
        calls = self._batch()
        llm = calls[0].llm
        self.weights.hold(_kv(calls))
        after = next((group[0].llm for group in self.groups if group[0].llm is not llm), None)
        self.weights.prefetch(after, self.events.now)
        prompts = [call.sequence.prompt_tokens for call in calls]
        load = StepLoad(sum(prompts), sum(tokens * tokens / 2 for tokens in prompts))
        seconds = self.timers[llm.name].cost(load)[0]
        self.events.at(self.events.now + seconds, self._computed, calls)

    def _batch(self) -> list[PooledCall]:
        """Takes from the first group the calls that fit one step and the memory; at least one."""
        group = self.groups[0]
        calls = [group.popleft()]
        room = self.weights.memory - calls[0].llm.weight_bytes
        while group:
            more = [*calls, group[0]]
            tokens = sum(call.sequence.prompt_tokens for call in more)
            if tokens > STEP_TOKENS_MAX or _kv(more) > room:
                break
            calls.append(group.popleft())
        if not group:
            self.groups.popleft()
        self.waiting -= len(calls)
        return calls

    def _computed(self, calls: list[PooledCall]) -> None:
        self.weights.hold(0.0)
        for call in calls:
            self.done(call)
        if self.groups:
            self._next()
        else:
            self._busy = False


def _kv(calls: list[PooledCall]) -> float:
    return sum(kv_bytes(call.llm, call.sequence.prompt_tokens) for call in calls)
