"""LLMs that somebody else serves: their time is given, their rate limit a constraint (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from scepsy.core.demand import Demand, LlmDemand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Target
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class EndpointLlm:
    """An LLM at an endpoint, and what each workflow (by name) that calls it asks of it."""

    llm: LlmSpec
    asked: dict[str, LlmDemand]

    def rate(self, targets: Iterable[Target]) -> float:
        """Calls per second at the targets."""
        return sum(
            target.rate * self.asked[target.workflow].calls
            for target in targets
            if target.workflow in self.asked
        )


def split_endpoints(
    demands: Sequence[Demand], llms: Iterable[LlmSpec]
) -> tuple[tuple[Demand, ...], tuple[EndpointLlm, ...]]:
    """What is left to plan for, and the hosted LLMs that are called.

    The time that a run spends in a hosted LLM goes on as it was traced: it moves into the run's
    `other_time`.

    Raises:
        BadInput: a workflow calls nothing but hosted LLMs.
    """
    described = {llm.name: llm for llm in llms if llm.hosted}
    asked: dict[str, dict[str, LlmDemand]] = {}
    for demand in demands:
        for part in demand.llms:
            if part.llm in described:
                asked.setdefault(part.llm, {})[demand.workflow] = part
    hosted = tuple(EndpointLlm(described[name], by) for name, by in sorted(asked.items()))
    return tuple(_without(demand, described) for demand in demands), hosted


def exceeded_rate_limit(
    hosted: Iterable[EndpointLlm], targets: Sequence[Target]
) -> Infeasible | None:
    """The first rate limit that the targets break."""
    for one in hosted:
        limit, rate = one.llm.rate_limit, one.rate(targets)
        if limit is not None and rate > limit * (1 + 1e-9):
            return Infeasible(
                f"rate limit of {one.llm.name}",
                f"{one.llm.name} at {one.llm.url} would get {rate:.3g} calls/s; "
                f"its limit is {limit:.3g}",
            )
    return None


def sentences(hosted: Iterable[EndpointLlm], targets: Sequence[Target]) -> list[str]:
    """What a plan has to say of hosted LLMs."""
    return [_sentence(one, targets) for one in hosted]


def _sentence(one: EndpointLlm, targets: Sequence[Target]) -> str:
    limit = one.llm.rate_limit
    allowed = "no limit is known" if limit is None else f"{limit:.3g} are allowed"
    times = ", ".join(f"{name} {part.busy:.3g} s" for name, part in sorted(one.asked.items()))
    return (
        f"{one.llm.name} is served by {one.llm.url}, not by these GPUs: it gets "
        f"{one.rate(targets):.3g} calls/s ({allowed}), and a run spends as long there as was "
        f"traced ({times})"
    )


def _without(demand: Demand, described: dict[str, LlmSpec]) -> Demand:
    ours = tuple(part for part in demand.llms if part.llm not in described)
    if len(ours) == len(demand.llms):
        return demand
    if not ours:
        raise BadInput(
            f"workflow {demand.workflow!r} calls only LLMs at endpoints: there is nothing to plan "
            "for it; leave out its target"
        )
    theirs = sum(part.busy for part in demand.llms if part.llm in described)
    return msgspec.structs.replace(demand, llms=ours, other_time=demand.other_time + theirs)
