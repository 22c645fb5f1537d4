"""Leaves GPUs free that reduce latency by less than a tolerance (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite

from scepsy.core.plan import Infeasible
from scepsy.planning.alternatives import same_sizes
from scepsy.planning.decision import Decision, Tradeoff
from scepsy.planning.fewest_gpus import Explorer, explore, fewest, smallest_shares
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import LENGTH_MAX, ShortlistEntry, compared_llms
from scepsy.planning.simulation import NOTICEABLE, SimulationOutcome, significantly_slower
from scepsy.sim.results.paired_trials import Trial

DEFAULT_TOLERANCE = 0.01
"""Relative increase of latency that is accepted to use fewer GPUs. Users do not notice 1%, and the
error of the predictions is larger.
"""

MakeExplorer = Callable[[Problem, Iterable[ShortlistEntry]], Explorer]
"""Makes an explorer of plans for a problem on fewer GPUs, which starts from known plans."""
SimulateEntry = Callable[[ShortlistEntry, SimulationOutcome], Trial | None]
"""Simulates a further entry with the same runs as in the known outcome."""


def with_fewest_gpus(
    decision: Decision,
    problem: Problem,
    tolerance: float,
    *,
    explorer: MakeExplorer,
    simulate_entry: SimulateEntry,
) -> Decision:
    """The decision for the plan on the fewest GPUs whose latency is within `tolerance` of that of
    the chosen plan, with the front of latency against GPUs.

    The plan is found by replay of the recorded runs. If plans were simulated, this one is simulated
    with the same runs. It is rejected if it does not sustain the targets, or if it is slower by
    more than the tolerance, significantly. If the simulation chose a plan that is not the best by
    replay, the replay does not rank TP degrees reliably, so only plans with the same TP degrees are
    compared.

    The decision is unchanged if its plan does not sustain the targets by replay: a plan on fewer
    GPUs would not sustain them either.
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
    decision = _with_fewer_gpus(decision, smallest, known_plans, tolerance, simulate_entry)
    tradeoff = Tradeoff(known_plans.front(), fastest, problem.gpus_available, tolerance)
    return replace(decision, tradeoff=tradeoff)


def _smallest(explorer: Explorer, fastest: ShortlistEntry, tolerance: float) -> ShortlistEntry:
    slack = tolerance * fastest.replay.objective

    def good_enough(entry: ShortlistEntry) -> bool:
        return entry.replay.objective <= fastest.replay.objective + slack

    found = fewest(explorer, good_enough, fastest.placement.gpus) or fastest
    return smallest_shares(explorer, good_enough, found, slack)


def _with_fewer_gpus(
    decision: Decision,
    smallest: ShortlistEntry,
    explorer: Explorer,
    tolerance: float,
    simulate_entry: SimulateEntry,
) -> Decision:
    """The decision for the plan on fewer GPUs. If its simulation rejects it, the decision for a
    plan halfway between the two; if that is rejected, too, the decision as it is.
    """
    fastest, simulated = decision.entry, decision.simulated
    if smallest is fastest:
        return decision
    if not isinstance(simulated, SimulationOutcome):
        return _decision_for(decision, smallest, explorer)
    before = simulated.trials[simulated.best]
    halfway = (smallest.placement.gpus + fastest.placement.gpus + 1) // 2
    for entry in (smallest, explorer.within(halfway)[0]):
        trial = None if entry is fastest else simulate_entry(entry, simulated)
        if trial is not None and not _worse(trial, before, tolerance):
            trials = {place + 1: trial for place, trial in simulated.trials.items()}
            outcome = replace(simulated, trials={0: trial, **trials}, best=0)
            return replace(_decision_for(decision, entry, explorer), simulated=outcome)
    return decision


def _decision_for(decision: Decision, entry: ShortlistEntry, explorer: Explorer) -> Decision:
    """The decision for `entry`. The shortlist begins with it, then has the entries of the present
    shortlist in their order, then others on as few GPUs.
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


def _worse(trial: Trial, before: Trial, tolerance: float) -> bool:
    if trial.verdict == "not sustained" and before.verdict != "not sustained":
        return True
    return significantly_slower(trial, before, max(NOTICEABLE, tolerance))
