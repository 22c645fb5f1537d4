"""The fewest GPUs on which a plan meets latency limits (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from scepsy.core.plan import Infeasible
from scepsy.planning.decision import Decision, Simulated, Tradeoff
from scepsy.planning.fewest_gpus import Explorer, explore, fewest
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.shortlist import LENGTH_MAX, Shortlist, ShortlistEntry
from scepsy.planning.simulation import SimulationOptions, SimulationOutcome

TRIES_ON_ALL_GPUS = 4
"""Plans on all GPUs that are simulated before a limit counts as infeasible."""

RUNS_FOR_QUANTILE = 200
"""Runs of every workflow that are simulated for a limit on a quantile. A quarter of them are
warm-up, which leaves 150: enough for a p99 (`statistics.quantiles.P99_MIN`).
"""

Simulate = Callable[[ShortlistEntry], SimulationOutcome | Infeasible]
"""Simulates one plan, whose trial has index 0 in the outcome."""


def fewest_gpus_within(
    limits: Sequence[LatencyLimit],
    found: Shortlist,
    explorer: Explorer,
    gpus: int,
    simulate: Simulate | None,
) -> Decision | Infeasible:
    """The plan on the fewest GPUs, at most `gpus`, that meets every limit, with the front of
    latency against GPUs. `found` is the shortlist on all of them.

    The plan must meet every limit on a mean by replay of the recorded runs and, with `simulate`, by
    simulation. A limit on a quantile needs the simulation. Infeasible("latency") names the lowest
    latency that was found.
    """
    explore(explorer, gpus)
    search = _Search(limits, explorer, gpus, simulate)
    chosen = search.run()
    if isinstance(chosen, Infeasible):
        return chosen
    used = chosen.placement.gpus
    listed = explorer.shortlist(used) if used < gpus else found
    listed = listed if isinstance(listed, Shortlist) else found
    others = [entry for entry in listed.entries if entry.allocation != chosen.allocation]
    listed = replace(listed, entries=(chosen, *others)[:LENGTH_MAX])
    tradeoff = Tradeoff(explorer.front(), found.entries[0], gpus, limits=tuple(limits))
    return Decision(chosen, listed, search.simulated(chosen), tradeoff)


def options_for(limits: Sequence[LatencyLimit], options: SimulationOptions) -> SimulationOptions:
    """Simulation options with enough runs to decide whether the limits are met."""
    if not any(limit.simulated for limit in limits):
        return options
    return replace(options, runs=max(options.runs, RUNS_FOR_QUANTILE))


class _Search:
    """One search for the fewest GPUs. It caches simulations, which take seconds; the other steps
    take milliseconds.
    """

    def __init__(
        self,
        limits: Sequence[LatencyLimit],
        explorer: Explorer,
        gpus: int,
        simulate: Simulate | None,
    ) -> None:
        self._limits, self._explorer, self._gpus = limits, explorer, gpus
        self._simulate = simulate
        self._outcomes: list[tuple[ShortlistEntry, SimulationOutcome | Infeasible]] = []

    def run(self) -> ShortlistEntry | Infeasible:
        """Starts at the fewest GPUs by replay, adds GPUs in doubling steps, then bisects."""
        first = fewest(self._explorer, self._met_by_replay, self._gpus)
        if first is None:
            return self._out_of_reach()
        below, gpus, step = first.placement.gpus - 1, first.placement.gpus, 1
        found = self._meeting_limits(gpus)
        while found is None and gpus < self._gpus:
            below, gpus, step = gpus, min(gpus + step, self._gpus), 2 * step
            found = self._meeting_limits(gpus)
        if found is None:
            return self._out_of_reach()
        while found.placement.gpus - below > 1:
            middle = (below + found.placement.gpus) // 2
            better = self._meeting_limits(middle)
            below, found = (middle, found) if better is None else (below, better)
        return found

    def simulated(self, entry: ShortlistEntry) -> Simulated:
        """The outcome of simulating an entry; None where there is no simulation."""
        if self._simulate is None:
            return None
        for known, outcome in self._outcomes:
            if known is entry:
                return outcome
        outcome = self._simulate(entry)
        self._outcomes.append((entry, outcome))
        return outcome

    def _meeting_limits(self, gpus: int) -> ShortlistEntry | None:
        """A plan on at most `gpus` GPUs that meets the limits, of the fastest few by replay; None
        where none does.
        """
        tries = TRIES_ON_ALL_GPUS if gpus == self._gpus else 1
        fitting = [one for one in self._explorer.within(gpus) if self._met_by_replay(one)]
        return next((one for one in fitting[:tries] if self._met_by_simulation(one)), None)

    def _met_by_replay(self, entry: ShortlistEntry) -> bool:
        return all(limit.replayed(entry.replay) <= limit.seconds for limit in self._limits)

    def _met_by_simulation(self, entry: ShortlistEntry) -> bool:
        """Whether the plan meets the limits by simulation. Where the problem cannot be simulated,
        the replay decides on limits on means.
        """
        outcome = self.simulated(entry)
        if not isinstance(outcome, SimulationOutcome):
            return not any(limit.simulated for limit in self._limits)
        kept = all(limit.measured(outcome.trials[0]) <= limit.seconds for limit in self._limits)
        return kept and outcome.verdict != "not sustained"

    def _out_of_reach(self) -> Infeasible:
        fastest = self._explorer.within(self._gpus)[:TRIES_ON_ALL_GPUS]
        outcomes = [self.simulated(entry) for entry in fastest]
        refusal = next((one for one in outcomes if isinstance(one, Infeasible)), None)
        if refusal is not None and any(limit.simulated for limit in self._limits):
            return refusal
        reasons = [self._best(limit, fastest, outcomes) for limit in self._limits]
        return Infeasible("latency", f"on {self._gpus} GPUs or fewer, {'; '.join(reasons)}")

    def _best(
        self,
        limit: LatencyLimit,
        fastest: Sequence[ShortlistEntry],
        outcomes: Sequence[Simulated],
    ) -> str:
        latencies = [
            limit.measured(one.trials[0]) for one in outcomes if isinstance(one, SimulationOutcome)
        ]
        predictor = "simulated" if latencies else "by replay of the recorded runs"
        latencies = latencies or [limit.replayed(entry.replay) for entry in fastest]
        if not latencies:
            return "no plan sustains the targets by replay of the recorded runs"
        return (
            f"the lowest {limit.name} that can be had is {min(latencies):.3g} s {predictor}; "
            f"{limit.seconds:g} s was asked for"
        )
