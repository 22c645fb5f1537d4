"""Which plan of the shortlist is taken (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from scepsy.core.plan import Infeasible, Prediction
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.prediction import prediction_of
from scepsy.planning.shortlist import Shortlist, ShortlistEntry
from scepsy.planning.simulation import SimulationOutcome

Simulated = SimulationOutcome | Infeasible | None
"""What the simulation of a shortlist found, or why it could not be simulated; None: it was not
asked for."""


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """Latency against GPUs, and how much latency was given up for fewer of them.

    Attributes:
        front: the fastest plans that are known on each number of GPUs, where more GPUs are faster.
        fastest: the plan that would be taken if GPUs cost nothing.
        gpus: GPUs that may be used.
        tolerance: the part of its latency by which a plan on fewer GPUs may be slower.
        limits: latency limits to keep to on as few GPUs as possible; then no tolerance applies.
    """

    front: tuple[ShortlistEntry, ...]
    fastest: ShortlistEntry
    gpus: int
    tolerance: float = 0.0
    limits: tuple[LatencyLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The plan that is taken, the shortlist that it is from, and what its simulation found.
    `tradeoff` is latency against GPUs, where that was looked at.
    """

    entry: ShortlistEntry
    shortlist: Shortlist
    simulated: Simulated
    tradeoff: Tradeoff | None = None

    @property
    def prediction(self) -> Prediction:
        """The prediction that is shown with the plan, with intervals."""
        found = self.simulated
        trial = found.trials[found.best] if isinstance(found, SimulationOutcome) else None
        return prediction_of(self.entry, trial, self.shortlist.recorded)


def choose(shortlist: Shortlist, simulated: Simulated) -> Decision | Infeasible:
    """The plan that the simulation found best, otherwise the one that the replay ranks first.

    Where neighbours on shared GPUs make every allocation infeasible by the predictors, only a plan
    that was simulated, and sustained the targets, is taken; without a simulation, one that the
    replay finds feasible.
    """
    if isinstance(simulated, SimulationOutcome):
        if shortlist.refused is not None and simulated.verdict != "sustained":
            return shortlist.refused
        return Decision(shortlist.entries[simulated.best], shortlist, simulated)
    first = shortlist.entries[0]
    if shortlist.refused is not None and not isfinite(first.replay.objective):
        return shortlist.refused
    return Decision(first, shortlist, simulated)
