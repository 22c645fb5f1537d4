"""Which predictor ranked what: a table, and a sentence (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from statistics import fmean

from scepsy.core.plan import Finalist, Infeasible
from scepsy.planning.allocation_text import differences
from scepsy.planning.decision import Decision
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.simulation import NOTICEABLE, SimulationOutcome
from scepsy.sim.results.paired_trials import Trial, difference

REPLAY_ERROR_MAX = 0.1
"""Relative difference of replay and simulation that is reported with a plan. E2 finds the replay
within 10% of the simulation at low and middle load."""


def finalists(decision: Decision) -> tuple[Finalist, ...]:
    """The chosen one first, then the others that were simulated, fastest first, then the rest."""
    entries, chosen, simulated = decision.shortlist.entries, decision.entry, decision.simulated
    trials: Mapping[int, Trial] = (
        simulated.trials if isinstance(simulated, SimulationOutcome) else {}
    )
    ours = trials[entries.index(chosen)] if trials else None
    order = sorted(
        range(len(entries)),
        key=lambda place: (
            entries[place] is not chosen,
            place not in trials,
            trials[place].objective if place in trials else 0.0,
        ),
    )
    return tuple(_finalist(entries[place], trials.get(place), ours, chosen) for place in order)


def _finalist(
    entry: ShortlistEntry, seen: Trial | None, ours: Trial | None, chosen: ShortlistEntry
) -> Finalist:
    said: list[str] = []
    if entry is not chosen:
        said.append(differences(chosen.allocation, entry.allocation))
    if seen is not None and seen.verdict == "not sustained":
        said.append("does not sustain the targets")
    return Finalist(
        allocation=entry.allocation,
        pipeline=_known(entry.pipeline.objective),
        replay=_known(entry.replay.objective),
        simulated=None if seen is None else seen.objective,
        noise=_noise(seen, ours),
        note="; ".join(said) or "chosen",
    )


def _noise(seen: Trial | None, ours: Trial | None) -> float | None:
    if seen is None or ours is None or seen is ours:
        return None
    return _known(difference(seen, ours)[1])


def _known(seconds: float) -> float | None:
    return seconds if isfinite(seconds) else None


def sentences(decision: Decision) -> Iterator[str]:
    """Which predictor decided, and against which other plans."""
    chosen, simulated = decision.entry, decision.simulated
    if simulated is None:
        yield "Not simulated: the replay of the recorded runs decided"
    elif isinstance(simulated, Infeasible):
        yield f"Not simulated: {simulated.reason}. The replay of the recorded runs decided"
    else:
        yield _simulated(decision.shortlist.entries, simulated, chosen)
        yield from _few_runs(simulated)
        yield from _differing_predictions(chosen, simulated)
        if simulated.verdict == "not sustained":
            yield (
                f"None of the {len(simulated.trials)} plans that were simulated sustains the "
                "targets: expect latency to grow as long as this load lasts"
            )
        elif not isfinite(chosen.replay.objective):
            yield (
                "By the profile and what neighbours on a GPU are reckoned to cost, this plan does "
                "not meet the targets; simulated, it does. Its latency is the simulated one"
            )


def _few_runs(simulated: SimulationOutcome) -> Iterator[str]:
    """Workflows with too few simulated runs to say whether their rate is sustained."""
    seen = simulated.trials[simulated.best]
    for workflow, found in seen.verdicts.items():
        if found == "too short to tell":
            yield (
                f"Only {len(seen.latencies[workflow])} simulated runs of {workflow} count: too few "
                "to tell whether its rate is sustained (`scepsy simulate --duration` takes longer)"
            )


def _differing_predictions(chosen: ShortlistEntry, simulated: SimulationOutcome) -> Iterator[str]:
    """Workflows whose replayed and simulated latencies differ by more than `REPLAY_ERROR_MAX`."""
    seen = simulated.trials[simulated.best]
    for flow in chosen.replay.workflows:
        latencies = seen.latencies.get(flow.workflow, ())
        if not latencies or not isfinite(flow.latency_mean):
            continue
        ratio = flow.latency_mean / fmean(latencies)
        if abs(ratio - 1) > REPLAY_ERROR_MAX:
            yield (
                f"The two predictions for {flow.workflow} differ by {abs(ratio - 1):.0%}: "
                f"{flow.latency_mean:.3g} s by replay of the recorded runs, "
                f"{fmean(latencies):.3g} s simulated. Trust neither before you measure"
            )


def _simulated(
    entries: Sequence[ShortlistEntry], simulated: SimulationOutcome, chosen: ShortlistEntry
) -> str:
    trials, others = simulated.trials, len(simulated.trials) - 1
    first = entries[next(iter(trials))]
    if not others:
        return "Simulated alone: the replay finds no other plan near it"
    if chosen is first:
        plans = "1 other plan" if others == 1 else f"{others} other plans"
        return (
            f"Simulated with the same runs as {plans}: no other plan is significantly faster "
            f"(95% confidence, at least {NOTICEABLE:.0%})"
        )
    apart, error = difference(trials[entries.index(first)], trials[simulated.best])
    return (
        "The replay of the recorded runs ranks another plan first ("
        f"{differences(chosen.allocation, first.allocation)}). Simulated with the same runs, that "
        f"one is {apart:.2g} s slower (standard error {error:.2g} s)"
    )
