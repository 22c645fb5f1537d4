"""Where curves come from: which of several to believe, and what to say of them (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from scepsy.core.plan import Allocation, size_name
from scepsy.core.profile import Curve, Profile, Source
from scepsy.hardware.gpus import LEAST_MEASURED_SHARE

_BELIEF: tuple[Source, ...] = ("modelled", "tabulated", "corrected", "measured")

Key = tuple[str, str, int, float]
"""(LLM, workflow, tp, GPU share): what a curve is of."""


def key_of(curve: Curve) -> Key:
    return curve.llm, curve.workflow, curve.tp, curve.gpu_share


def merge(profiles: Iterable[Profile]) -> Profile:
    """Of each replica size and workflow the most believable curve: measured before corrected before
    tabulated before modelled; of equals the later. In the order in which they came.
    """
    best: dict[Key, Curve] = {}
    for curve in chain.from_iterable(profile.curves for profile in profiles):
        known = best.get(key_of(curve))
        if known is None or _BELIEF.index(curve.source) >= _BELIEF.index(known.source):
            best[key_of(curve)] = curve
    return Profile(curves=tuple(best.values()))


def notes(profile: Profile, allocation: Allocation) -> tuple[str, ...]:
    """A sentence for each LLM of a plan whose curves were not measured."""
    used = {part.llm: (part.tp, part.gpu_share) for part in allocation.llms}
    found: list[str] = []
    for llm, (tp, share) in used.items():
        near = [curve for curve in profile.curves if curve.llm == llm and _near(curve, tp, share)]
        guessed = [curve for curve in near if curve.source != "measured"]
        if guessed:
            worst = max(guessed, key=lambda curve: curve.error)
            found.append(
                f"{llm} at {size_name(tp, share)} rests on {worst.source} curves: its mean latency "
                f"may be {worst.error:.0%} off; a measurement (`scepsy profile`) would replace them"
            )
            if share < LEAST_MEASURED_SHARE:
                found.append(
                    f"{llm} at {size_name(tp, share)}: what is known of parts of a GPU ends at "
                    f"{LEAST_MEASURED_SHARE:g}; below, it is extrapolated"
                )
    return tuple(found)


def elsewhere(profile: Profile, machine: str, engines: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each other machine and each other engine version on which curves were
    measured. `engines` maps kinds of engine to the name and version that is at hand.
    """
    found: list[str] = []
    for curve in (curve for curve in profile.curves if curve.source == "measured"):
        if curve.machine and curve.machine != machine:
            found.append(f"measured on another machine: {curve.machine}; this is {machine}")
        at_hand = engines.get(curve.engine.split(" ")[0])
        if at_hand and at_hand != curve.engine:
            found.append(f"{curve.llm} was measured on {curve.engine}; at hand is {at_hand}")
    return tuple(dict.fromkeys(found))


def _near(curve: Curve, tp: int, share: float) -> bool:
    """Whether it is of that size, or of a part of a GPU where a part is asked for."""
    return curve.tp == tp and (curve.gpu_share >= 1) == (share >= 1)
