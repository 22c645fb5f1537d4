"""Where latency curves come from: which of several is used, and what a plan says of it (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from scepsy.core.plan import Allocation, size_name
from scepsy.core.profile import Curve, Profile, Source
from scepsy.hardware.gpus import LEAST_MEASURED_SHARE

_PREFERENCE: dict[Source, int] = {
    "modelled": 0,
    "tabulated": 1,
    "corrected": 2,
    "measured": 3,
    "calibrated": 3,
}

Key = tuple[str, str, int, float]
"""(LLM, workflow, tp, GPU share): what a curve is of."""


def key_of(curve: Curve) -> Key:
    return curve.llm, curve.workflow, curve.tp, curve.gpu_share


def merge(profiles: Iterable[Profile]) -> Profile:
    """One curve for each replica size and workflow: measured or calibrated before corrected before
    tabulated before modelled, and the later of two from the same source. In the order of the
    profiles.
    """
    best: dict[Key, Curve] = {}
    for curve in chain.from_iterable(profile.curves for profile in profiles):
        known = best.get(key_of(curve))
        if known is None or _PREFERENCE[curve.source] >= _PREFERENCE[known.source]:
            best[key_of(curve)] = curve
    return Profile(curves=tuple(best.values()))


def notes(profile: Profile, allocation: Allocation) -> tuple[str, ...]:
    """The LLMs of a plan whose curves were not measured, or not wholly: a sentence for each source
    and error, and one each for GPU shares smaller than any that was measured, for throughputs that
    are lower bounds, and for curves with another workflow's slowdown.
    """
    used = {part.llm: (part.tp, part.gpu_share) for part in allocation.llms}
    same_error: dict[tuple[str, float], list[str]] = {}
    small: list[str] = []
    at_least: list[str] = []
    rare: list[str] = []
    for llm, (tp, share) in used.items():
        near = [curve for curve in profile.curves if curve.llm == llm and _near(curve, tp, share)]
        estimated = [curve for curve in near if curve.estimated]
        at_least += [llm] if any(curve.at_least for curve in near) else []
        rare += [
            f"{curve.workflow}'s calls of {llm} (those of {curve.slowdown_of})"
            for curve in near
            if curve.slowdown_of
        ]
        if estimated:
            worst = max(estimated, key=lambda curve: curve.error)
            sized = f"{llm} at {size_name(tp, share)}"
            same_error.setdefault((worst.source, worst.error), []).append(sized)
            if share < LEAST_MEASURED_SHARE:
                small.append(sized)
    found = [_rests(sized, source, error) for (source, error), sized in same_error.items()]
    if small:
        found.append(
            f"{', '.join(small)}: no measurement of a GPU share below "
            f"{LEAST_MEASURED_SHARE:g} is known, so the latency there is extrapolated"
        )
    if at_least:
        found.append(
            f"{', '.join(at_least)}: the engine sustained the highest rate that the profiler "
            "offered, so it may saturate later than assumed; profile with a higher --max-rate if "
            "it limits the plan"
        )
    if rare:
        found.append(
            "too few calls were measured under load, so that the slowdown of another workflow's "
            f"calls was taken: {', '.join(dict.fromkeys(rare))}"
        )
    return tuple(found)


def _rests(sized: Sequence[str], source: str, error: float) -> str:
    """`sized`: LLMs, each with its TP degree or GPU share."""
    rests, its = ("rests", "its mean latency") if len(sized) == 1 else ("rest", "each mean latency")
    return (
        f"{', '.join(sized)} {rests} on {source} curves: {its} may be {error:.0%} off; "
        "`scepsy profile` replaces them by measured ones"
    )


def elsewhere(profile: Profile, machine: str, engines: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each other machine and each other engine version on which curves were
    measured. `engines`: name and version of the installed engine, by engine kind.
    """
    found: list[str] = []
    for curve in (curve for curve in profile.curves if not curve.estimated):
        if curve.machine and curve.machine != machine:
            found.append(f"measured on another machine: {curve.machine}; this is {machine}")
        installed = engines.get(curve.engine.split(" ")[0])
        if installed and installed != curve.engine:
            found.append(f"{curve.llm} was measured on {curve.engine}; installed is {installed}")
    return tuple(dict.fromkeys(found))


def _near(curve: Curve, tp: int, share: float) -> bool:
    """Whether the curve has that TP degree, and both or neither are for whole GPUs."""
    return curve.tp == tp and (curve.gpu_share >= 1) == (share >= 1)
