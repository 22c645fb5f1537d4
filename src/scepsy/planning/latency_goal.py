"""The fewest GPUs on which a plan keeps to latency limits (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from scepsy.core.plan import Infeasible
from scepsy.planning.decision import Decision, Simulated, Tradeoff
from scepsy.planning.fewest_gpus import Explorer, explore, fewest
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.shortlist import LENGTH_MAX, Shortlist, ShortlistEntry
from scepsy.planning.simulation import SimulationOptions, SimulationOutcome

LAST_TRIES = 4
"""Plans on all GPUs that are simulated before a limit is said to be out of reach."""

RUNS_FOR_QUANTILE = 200
"""Runs of every workflow that are simulated where a quantile is limited. A quarter of them are
warm-up, so this leaves 150: enough for a p99 (`statistics.quantiles.P99_MIN`)."""

Simulate = Callable[[ShortlistEntry], SimulationOutcome | Infeasible]
"""Simulates one plan, which is in place 0 of the outcome."""


def fewest_gpus_within(
    limits: Sequence[LatencyLimit],
    found: Shortlist,
    explorer: Explorer,
    gpus: int,
    simulate: Simulate | None,
) -> Decision | Infeasible:
    """The plan on the fewest of `gpus` GPUs that keeps to every limit, and latency against GPUs.
    `found` is the shortlist on all of them.

    The replay of the recorded runs must find every limit on a mean kept; where there is `simulate`,
    so must the simulation. A limit on a quantile cannot be told without it. Infeasible("latency")
    names the best that can be had.
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
    """How to simulate, so that the limits can be told to be kept."""
    if not any(limit.simulated for limit in limits):
        return options
    return replace(options, runs=max(options.runs, RUNS_FOR_QUANTILE))


class _Search:
    """What was simulated is kept: a simulation takes seconds, all else milliseconds."""

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
        """Upwards from the fewest GPUs by replay in growing steps, then back by halving."""
        first = fewest(self._explorer, self._replayed, self._gpus)
        if first is None:
            return self._out_of_reach()
        below, gpus, step = first.placement.gpus - 1, first.placement.gpus, 1
        found = self._kept(gpus)
        while found is None and gpus < self._gpus:
            below, gpus, step = gpus, min(gpus + step, self._gpus), 2 * step
            found = self._kept(gpus)
        if found is None:
            return self._out_of_reach()
        while found.placement.gpus - below > 1:
            middle = (below + found.placement.gpus) // 2
            better = self._kept(middle)
            below, found = (middle, found) if better is None else (below, better)
        return found

    def simulated(self, entry: ShortlistEntry) -> Simulated:
        """What the simulation of an entry found; None where it was not asked for."""
        if self._simulate is None:
            return None
        for known, outcome in self._outcomes:
            if known is entry:
                return outcome
        outcome = self._simulate(entry)
        self._outcomes.append((entry, outcome))
        return outcome

    def _kept(self, gpus: int) -> ShortlistEntry | None:
        """A plan on at most that many GPUs that keeps to the limits, if the fastest does."""
        tries = LAST_TRIES if gpus == self._gpus else 1
        fitting = [one for one in self._explorer.within(gpus) if self._replayed(one)]
        return next((one for one in fitting[:tries] if self._confirmed(one)), None)

    def _replayed(self, entry: ShortlistEntry) -> bool:
        return all(limit.replayed(entry.replay) <= limit.seconds for limit in self._limits)

    def _confirmed(self, entry: ShortlistEntry) -> bool:
        """Whether the simulation agrees. Where the problem cannot be simulated, limits on means
        rest on the replay.
        """
        outcome = self.simulated(entry)
        if not isinstance(outcome, SimulationOutcome):
            return not any(limit.simulated for limit in self._limits)
        kept = all(limit.measured(outcome.trials[0]) <= limit.seconds for limit in self._limits)
        return kept and outcome.verdict != "not sustained"

    def _out_of_reach(self) -> Infeasible:
        fastest = self._explorer.within(self._gpus)[:LAST_TRIES]
        outcomes = [self.simulated(entry) for entry in fastest]
        refusal = next((one for one in outcomes if isinstance(one, Infeasible)), None)
        if refusal is not None and any(limit.simulated for limit in self._limits):
            return refusal
        said = [self._best(limit, fastest, outcomes) for limit in self._limits]
        return Infeasible("latency", f"on {self._gpus} GPUs or fewer, {'; '.join(said)}")

    def _best(
        self,
        limit: LatencyLimit,
        fastest: Sequence[ShortlistEntry],
        outcomes: Sequence[Simulated],
    ) -> str:
        seen = [
            limit.measured(one.trials[0]) for one in outcomes if isinstance(one, SimulationOutcome)
        ]
        predictor = "simulated" if seen else "by replay of the recorded runs"
        seen = seen or [limit.replayed(entry.replay) for entry in fastest]
        if not seen:
            return "no plan sustains the targets by replay of the recorded runs"
        return (
            f"the lowest {limit.name} that can be had is {min(seen):.3g} s {predictor}; "
            f"{limit.seconds:g} s was asked for"
        )
