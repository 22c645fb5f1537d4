"""LLMs at endpoints that somebody else serves: their latency is given, and their rate limit is a
constraint (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from scepsy.core.demand import Demand, LlmDemand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Target
from scepsy.core.secrets import public_url
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class EndpointLlm:
    """An LLM at an endpoint, and the demand of each workflow (by name) that calls it."""

    llm: LlmSpec
    demands: dict[str, LlmDemand]

    def rate(self, targets: Iterable[Target]) -> float:
        """Calls per second at the targets."""
        return sum(
            target.rate * self.demands[target.workflow].calls
            for target in targets
            if target.workflow in self.demands
        )


def split_endpoints(
    demands: Sequence[Demand], llms: Iterable[LlmSpec]
) -> tuple[tuple[Demand, ...], tuple[EndpointLlm, ...]]:
    """The demands on LLMs that are to be placed, and the called LLMs at endpoints.

    The time that a run spends in an LLM at an endpoint is taken to stay as it was traced: it moves
    into the demand's `other_time`.

    Raises:
        BadInput: a workflow calls no LLM that is to be placed.
    """
    described = {llm.name: llm for llm in llms if llm.hosted}
    called: dict[str, dict[str, LlmDemand]] = {}
    for demand in demands:
        for part in demand.llms:
            if part.llm in described:
                called.setdefault(part.llm, {})[demand.workflow] = part
    endpoints = tuple(EndpointLlm(described[name], by) for name, by in sorted(called.items()))
    return tuple(_without(demand, described) for demand in demands), endpoints


def exceeded_rate_limit(
    endpoints: Iterable[EndpointLlm], targets: Sequence[Target]
) -> Infeasible | None:
    """The first rate limit that the target rates exceed; None where they keep to all."""
    for one in endpoints:
        limit, rate = one.llm.rate_limit, one.rate(targets)
        if limit is not None and rate > limit * (1 + 1e-9):
            return Infeasible(
                f"rate limit of {one.llm.name}",
                f"{one.llm.name} at {public_url(one.llm.url or '')} would get {rate:.3g} calls/s; "
                f"its limit is {limit:.3g}",
            )
    return None


def sentences(endpoints: Iterable[EndpointLlm], targets: Sequence[Target]) -> list[str]:
    """A sentence about each LLM at an endpoint."""
    return [_sentence(one, targets) for one in endpoints]


def _sentence(one: EndpointLlm, targets: Sequence[Target]) -> str:
    limit = one.llm.rate_limit
    allowed = "no limit is known" if limit is None else f"{limit:.3g} are allowed"
    times = ", ".join(f"{name} {part.busy:.3g} s" for name, part in sorted(one.demands.items()))
    return (
        f"{one.llm.name} is served by {public_url(one.llm.url or '')}, not by these GPUs. It gets "
        f"{one.rate(targets):.3g} calls/s ({allowed}), and a run is taken to spend as long in it "
        f"as in the traces ({times})"
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
