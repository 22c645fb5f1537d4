"""The plan that a deployment has accepted, as every backend keeps it, and what becomes of it when
another one is accepted (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica
from scepsy.core.record import Record


class AcceptedPlan(Record, frozen=True, kw_only=True):
    """The part of a deployment's state that all backends keep.

    Attributes:
        plan: the plan that was accepted last.
        epoch: its number; 0 before one was accepted.
        leaving: LLMs of earlier plans of which replicas may still serve.
        settled: whether the plan has been reached. Not so while a change goes on, or after one was
            interrupted.
        weights: (node, name of LLM) where a replica had loaded the weights when the plan was
            accepted, or when an earlier one was: the node's disk or page cache has them.
        start_seconds: by name of LLM, the seconds that the slowest start of its engines took in the
            last change that started any.
    """

    plan: Plan
    epoch: int = 0
    leaving: tuple[LlmSpec, ...] = ()
    settled: bool = False
    weights: tuple[tuple[str, str], ...] = ()
    start_seconds: dict[str, float] = msgspec.field(default_factory=dict[str, float])


State = TypeVar("State", bound=AcceptedPlan)


def accepted(before: State, asked: State, loaded: Iterable[Replica] = ()) -> State:
    """What is `asked` for as the state after `before`: with the next epoch, or with the same one
    where nothing else changes, and not yet reached. `loaded` are the replicas that have loaded
    their weights. What `asked` says of these fields is not read.
    """
    asked = msgspec.structs.replace(
        asked,
        epoch=before.epoch,
        leaving=before.leaving,
        settled=before.settled,
        weights=before.weights,
        start_seconds=before.start_seconds,
    )
    same = before.epoch > 0 and asked == before
    ours = {llm.name for llm in asked.plan.llms}
    leaving = (*before.leaving, *before.plan.llms)
    return msgspec.structs.replace(
        asked,
        epoch=before.epoch if same else before.epoch + 1,
        leaving=tuple(llm for llm in leaving if llm.name not in ours),
        settled=False,
        weights=_weights(before, asked.plan, loaded),
    )


def reached(
    state: AcceptedPlan, start_seconds: Mapping[str, float], loaded: Iterable[Replica]
) -> dict[str, Any]:
    """The fields that change once the plan of `state` is reached. `start_seconds` are those of the
    engines that were started for it, `loaded` the replicas that serve now.
    """
    return {
        "settled": True,
        "leaving": (),
        "start_seconds": {**state.start_seconds, **start_seconds},
        "weights": _weights(state, state.plan, loaded),
    }


def _weights(
    before: AcceptedPlan, plan: Plan, loaded: Iterable[Replica]
) -> tuple[tuple[str, str], ...]:
    """Those that are on nodes of the next plan, and are still the weights of their LLM."""
    nodes = {node.name for node in plan.cluster.nodes}
    next_ = {llm.name: llm for llm in plan.llms}
    other = {llm.name for llm in before.plan.llms if not _same(llm, next_.get(llm.name, llm))}
    found = {(part.node, one.llm) for one in loaded for part in one.slices}
    known = sorted(found | set(before.weights))
    return tuple((node, llm) for node, llm in known if node in nodes and llm not in other)


def _same(one: LlmSpec, other: LlmSpec) -> bool:
    """Whether two LLMs of one name have the same weights, as far as that is written."""
    return all(getattr(one, field) == getattr(other, field) for field in _OF_WEIGHTS)


_OF_WEIGHTS = ("engine", "model_path", "parameters", "bytes_per_parameter", "quantization")
