"""Leaves free the GPUs that bring less than a tolerance (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite

from scepsy.core.plan import Infeasible
from scepsy.planning.alternatives import same_sizes
from scepsy.planning.decision import Decision, Tradeoff
from scepsy.planning.fewest_gpus import Explorer, ListPlans, Plans, explore, fewest, least_shares
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import LENGTH_MAX, ShortlistEntry, compared_llms
from scepsy.planning.simulation import NOTICEABLE, SimulationOutcome, significantly_slower
from scepsy.sim.results.paired_trials import Trial

DEFAULT_TOLERANCE = 0.01
"""Part of the latency. Nobody feels a difference of 1%, and no prediction here is as exact."""

TryOut = Callable[[ShortlistEntry, SimulationOutcome], Trial | None]
"""Simulates another entry with the runs of those whose outcome is known."""


def with_fewest_gpus(
    decision: Decision,
    problem: Problem,
    tolerance: float,
    *,
    best: Plans,
    listed: ListPlans,
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
    explorer = Explorer(problem, best, listed, known)
    explore(explorer, fastest.placement.gpus)
    smallest = _smallest(explorer, fastest, tolerance) if tolerance > 0 else fastest
    if smallest is not fastest:
        decision = _moved(decision, smallest, explorer, tolerance, try_out)
    return replace(decision, tradeoff=Tradeoff(explorer.front(), fastest, tolerance))


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
    """The decision for the plan on fewer GPUs, unless its simulation speaks against it."""
    fastest, simulated = decision.entry, decision.simulated
    trials: dict[int, Trial] = {}
    if isinstance(simulated, SimulationOutcome):
        before, seen = simulated.trials[simulated.best], try_out(smallest, simulated)
        if seen is None or _worse(seen, before, tolerance):
            return decision
        trials = {0: seen, **{place + 1: trial for place, trial in simulated.trials.items()}}
        simulated = replace(simulated, trials=trials, best=0)
    listed = decision.shortlist
    if smallest.placement.gpus < fastest.placement.gpus:
        fewer = explorer.shortlist(smallest.placement.gpus)
        listed = listed if isinstance(fewer, Infeasible) else fewer
    entries = [smallest, *decision.shortlist.entries]
    known = {entry.allocation for entry in entries}
    entries += [entry for entry in listed.entries if entry.allocation not in known]
    return Decision(smallest, replace(listed, entries=tuple(entries[:LENGTH_MAX])), simulated)


def _worse(seen: Trial, before: Trial, tolerance: float) -> bool:
    if seen.verdict == "not sustained" and before.verdict != "not sustained":
        return True
    return significantly_slower(seen, before, max(NOTICEABLE, tolerance))
