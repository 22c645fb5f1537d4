"""The plans of the shortlist with what each predictor says of them, best first (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from scepsy.core.plan import Finalist
from scepsy.planning.allocation_text import differences
from scepsy.planning.decision import Decision
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.simulation import SimulationOutcome
from scepsy.sim.results.paired_trials import Trial, difference


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
    notes: list[str] = []
    if entry is not chosen:
        notes.append(differences(chosen.allocation, entry.allocation))
    if seen is not None and seen.verdict == "not sustained":
        notes.append("does not sustain the targets")
    return Finalist(
        allocation=entry.allocation,
        pipeline=_known(entry.pipeline.objective),
        replay=_known(entry.replay.objective),
        simulated=None if seen is None else seen.objective,
        noise=_noise(seen, ours),
        note="; ".join(notes) or "chosen",
    )


def _noise(seen: Trial | None, ours: Trial | None) -> float | None:
    if seen is None or ours is None or seen is ours:
        return None
    return _known(difference(seen, ours)[1])


def _known(seconds: float) -> float | None:
    return seconds if isfinite(seconds) else None
