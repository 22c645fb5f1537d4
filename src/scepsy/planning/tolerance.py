"""Leaves free the GPUs that bring less than a tolerance (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite

from scepsy.core.plan import Infeasible
from scepsy.planning.alternatives import same_sizes
from scepsy.planning.decision import Decision, Tradeoff
from scepsy.planning.fewest_gpus import Explorer, explore, fewest, least_shares
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import LENGTH_MAX, ShortlistEntry, compared_llms
from scepsy.planning.simulation import NOTICEABLE, SimulationOutcome, significantly_slower
from scepsy.sim.results.paired_trials import Trial

DEFAULT_TOLERANCE = 0.01
"""Part of the latency. Nobody feels a difference of 1%, and no prediction here is as exact."""

MakeExplorer = Callable[[Problem, Iterable[ShortlistEntry]], Explorer]
"""Begins to look for plans of a problem on fewer GPUs, from those that are known."""
TryOut = Callable[[ShortlistEntry, SimulationOutcome], Trial | None]
"""Simulates another entry with the runs of those whose outcome is known."""


def with_fewest_gpus(
    decision: Decision,
    problem: Problem,
    tolerance: float,
    *,
    explorer: MakeExplorer,
    try_out: TryOut,
) -> Decision:
    """Of all plans within `tolerance` of the one that was taken, the one on the fewest GPUs; and
    latency against GPUs.

    The replay of the recorded runs finds it. Where plans were simulated, it is too, with the same
    runs: it is not taken if it does not sustain the targets, or is slower by more than the
    tolerance and by more than chance. Where the simulation preferred a plan that the replay does
    not, the replay is no judge between TP degrees, so only plans with the same ones are compared.

    The decision stands where the replay does not find that its plan sustains the targets: a plan on
    fewer GPUs would do so even less.
    """
    fastest, shortlist = decision.entry, decision.shortlist
    if not isfinite(fastest.replay.objective):
        return decision
    known = list(shortlist.entries)
    if fastest is not shortlist.entries[0]:
        llms = compared_llms(fastest)
        problem, known = same_sizes(problem, fastest.allocation, llms), [fastest]
    known_plans = explorer(problem, known)
    explore(known_plans, fastest.placement.gpus)
    smallest = _smallest(known_plans, fastest, tolerance) if tolerance > 0 else fastest
    decision = _moved(decision, smallest, known_plans, tolerance, try_out)
    tradeoff = Tradeoff(known_plans.front(), fastest, problem.gpus_available, tolerance)
    return replace(decision, tradeoff=tradeoff)


def _smallest(explorer: Explorer, fastest: ShortlistEntry, tolerance: float) -> ShortlistEntry:
    slack = tolerance * fastest.replay.objective

    def good_enough(entry: ShortlistEntry) -> bool:
        return entry.replay.objective <= fastest.replay.objective + slack

    found = fewest(explorer, good_enough, fastest.placement.gpus) or fastest
    return least_shares(explorer, good_enough, found, slack)


def _moved(
    decision: Decision,
    smallest: ShortlistEntry,
    explorer: Explorer,
    tolerance: float,
    try_out: TryOut,
) -> Decision:
    """The decision for the plan on fewer GPUs. Where its simulation speaks against it, for one
    halfway between the two, and where that fails too, the decision as it is.
    """
    fastest, simulated = decision.entry, decision.simulated
    if smallest is fastest:
        return decision
    if not isinstance(simulated, SimulationOutcome):
        return _taken(decision, smallest, explorer)
    before = simulated.trials[simulated.best]
    halfway = (smallest.placement.gpus + fastest.placement.gpus + 1) // 2
    for entry in (smallest, explorer.within(halfway)[0]):
        seen = None if entry is fastest else try_out(entry, simulated)
        if seen is not None and not _worse(seen, before, tolerance):
            trials = {place + 1: trial for place, trial in simulated.trials.items()}
            outcome = replace(simulated, trials={0: seen, **trials}, best=0)
            return replace(_taken(decision, entry, explorer), simulated=outcome)
    return decision


def _taken(decision: Decision, entry: ShortlistEntry, explorer: Explorer) -> Decision:
    """The decision for that entry, first on the shortlist of plans on as few GPUs. What was on the
    shortlist before follows, in its order.
    """
    listed = decision.shortlist
    if entry.placement.gpus < decision.entry.placement.gpus:
        fewer = explorer.shortlist(entry.placement.gpus)
        listed = listed if isinstance(fewer, Infeasible) else fewer
    entries = [entry, *decision.shortlist.entries]
    known = {one.allocation for one in entries}
    entries += [one for one in listed.entries if one.allocation not in known]
    listed = replace(listed, entries=tuple(entries[: max(LENGTH_MAX, len(known))]))
    return replace(decision, entry=entry, shortlist=listed)


def _worse(seen: Trial, before: Trial, tolerance: float) -> bool:
    if seen.verdict == "not sustained" and before.verdict != "not sustained":
        return True
    return significantly_slower(seen, before, max(NOTICEABLE, tolerance))
