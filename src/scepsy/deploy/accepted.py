"""The plan that a deployment has accepted, as every backend keeps it, and what becomes of it when
another one is accepted (pure).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan
from scepsy.core.record import Record


class AcceptedPlan(Record, frozen=True, kw_only=True):
    """The part of a deployment's state that all backends keep.

    Attributes:
        plan: the plan that was accepted last.
        epoch: its number; 0 before one was accepted.
        leaving: LLMs of earlier plans of which replicas may still serve.
        settled: whether the plan has been reached. Not so while a change goes on, or after one was
            interrupted.
    """

    plan: Plan
    epoch: int = 0
    leaving: tuple[LlmSpec, ...] = ()
    settled: bool = False


State = TypeVar("State", bound=AcceptedPlan)


def accepted(before: State, asked: State) -> State:
    """What is `asked` for as the state after `before`: with the next epoch, or with the same one
    where nothing else changes, and not yet reached. What `asked` says of these is not read.
    """
    asked = msgspec.structs.replace(
        asked, epoch=before.epoch, leaving=before.leaving, settled=before.settled
    )
    same = before.epoch > 0 and asked == before
    ours = {llm.name for llm in asked.plan.llms}
    leaving = (*before.leaving, *before.plan.llms)
    return msgspec.structs.replace(
        asked,
        epoch=before.epoch if same else before.epoch + 1,
        leaving=tuple(llm for llm in leaving if llm.name not in ours),
        settled=False,
    )
