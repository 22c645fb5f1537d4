"""Capacity of LLMs: what the load of a plan needs, and what each replica gives.

A plan says at which rates its workflows arrive (`targets`), how many calls each run makes
(`demands`), and which fraction of every LLM's capacity these calls use (`prediction.utilisation`).
For an LLM with

    x = calls per second at the target rates: the sum over workflows of rate x calls per run
    u = utilisation, at most 1
    r = number of replicas in the plan

the plan's replicas can serve x / u calls per second, so each of them serves x / (u r), and the load
needs x. These three numbers make the floor: x calls per second, which are u r replicas of the
plan's size.

A running replica may have another size. If the plan that runs has that size, the same formula for
that plan says what the replica can serve. Otherwise it counts in proportion to its compute, which
is tp x gpu_share: too much for a replica with a higher TP degree than the plan's, whose GPUs also
communicate, and too little for one with a lower degree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.core.plan import Plan, Replica

Size = tuple[str, int, float]
"""(name of the LLM, tp, gpu_share rounded to a thousandth)."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the load needs and what replicas give, in calls per second.

    Attributes:
        needed: by LLM, the floor under the calls per second that its running replicas can serve.
            An LLM that is not named has no floor.
        by_size: calls per second that one replica of a known size can serve.
    """

    needed: Mapping[str, float] = field(default_factory=dict[str, float])
    by_size: Mapping[Size, float] = field(default_factory=dict[Size, float])

    @classmethod
    def of(cls, plan: Plan, *, before: Plan | None = None) -> Capacity:
        """The capacity that `plan` needs. `before` is the plan that runs, where one does."""
        by_size = {} if before is None else _by_size(before)
        return cls(needed=_calls_per_second(plan), by_size=by_size | _by_size(plan))

    def floor(self, llm: str) -> float:
        """Calls per second that the load needs of an LLM."""
        return self.needed.get(llm, 0.0)

    def given_by(self, replica: Replica) -> float:
        """Calls per second that a replica can serve; 0 for an LLM that no known plan calls."""
        known = self.by_size.get(_size(replica))
        if known is not None:
            return known
        compute = replica.tp * replica.gpu_share
        same = [(size, rate) for size, rate in self.by_size.items() if size[0] == replica.llm]
        return min((rate * compute / (tp * share) for (_, tp, share), rate in same), default=0.0)


def _size(replica: Replica) -> Size:
    return replica.llm, replica.tp, round(replica.gpu_share, 3)


def _calls_per_second(plan: Plan) -> dict[str, float]:
    rates = {target.workflow: target.rate for target in plan.targets}
    calls: defaultdict[str, float] = defaultdict(float)
    for demand in plan.demands:
        for part in demand.llms:
            calls[part.llm] += rates.get(demand.workflow, 0.0) * part.calls
    placed = {replica.llm for replica in plan.placement.replicas}
    return {llm: rate for llm, rate in calls.items() if llm in placed}


def _by_size(plan: Plan) -> dict[Size, float]:
    """Calls per second of one replica, for the sizes of a plan. Where the plan predicts no
    utilisation of an LLM, its replicas together serve what the load needs and no more.
    """
    needed = _calls_per_second(plan)
    units: defaultdict[str, float] = defaultdict(float)
    for replica in plan.placement.replicas:
        units[replica.llm] += replica.tp * replica.gpu_share
    return {
        _size(replica): (
            needed.get(replica.llm, 0.0)
            / min(1.0, plan.prediction.utilisation.get(replica.llm) or 1.0)
            * (replica.tp * replica.gpu_share / units[replica.llm])
        )
        for replica in plan.placement.replicas
    }
