"""Makes the curves of a profile from measured rounds (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from scepsy.core.profile import Curve, ProfilePoint
from scepsy.curves.batch_means import mean_latency
from scepsy.curves.bursts import Stream
from scepsy.curves.rounds import Round, Sample, TypicalCall, typical_calls
from scepsy.curves.throughput_alone import throughput_alone
from scepsy.errors import EngineFailed
from scepsy.profiler.calibrate import ModelOf, calibrated_points
from scepsy.profiler.fit_steps import step_time
from scepsy.profiler.points import profile_point
from scepsy.profiler.rare_calls import with_slowdown
from scepsy.profiler.sweep.next_round import SweepSettings, curve_rounds, saturated


def curves(
    template: Curve,
    stream: Stream,
    rounds: Sequence[Round],
    settings: SweepSettings,
    model_of: ModelOf | None = None,
    seed: int = 0,
) -> list[Curve]:
    """One curve for each workflow. `template` is a curve with all that they have in common.

    With `model_of`, a curve is calibrated where it can be (`calibrate`); otherwise its points are
    the means of the rounds. `seed` is that of the simulated arrivals.

    A workflow with no call under load gets the slowdown that another one shows (`rare_calls`).

    Raises EngineFailed where no call of some workflow was measured, or none at all under load.
    """
    typical = typical_calls(stream)
    total = saturated(rounds, typical, settings).rate
    kept = curve_rounds(rounds, total, settings)
    top = throughput_alone(
        total, stream.calls, {name: one.duration for name, one in typical.items()}
    )
    steps = step_time([one for found in kept.values() for one in found])
    calibrated = (
        calibrated_points(model_of, steps, stream, kept, typical, settings.warmup, seed)
        if model_of is not None and steps is not None
        else {}
    )
    points = {
        name: tuple(
            msgspec.structs.replace(one, rate=top[name] / total * one.rate)
            for one in calibrated.get(name, ())
        )
        or _points(name, kept, typical[name], top[name], top[name] / total, settings.warmup)
        for name in sorted(stream.runs)
    }
    for name, found in points.items():
        if not found:
            raise EngineFailed(
                f"no call of {name!r} to {template.llm!r} was measured; allow a larger budget"
            )
    complete, lenders = with_slowdown(points, top)
    if any(len(found) == 1 and not found[0].rate for found in complete.values()):
        raise EngineFailed(
            f"no call to {template.llm!r} was measured under load; allow a larger budget"
        )
    return [
        msgspec.structs.replace(
            template,
            workflow=name,
            points=found,
            slowdown_of=lenders.get(name, ""),
            max_throughput=top[name],
            at_least=total >= settings.max_rate,
            steps=steps,
            source="calibrated" if name in calibrated else "measured",
        )
        for name, found in complete.items()
    ]


def _points(
    workflow: str,
    kept: Mapping[float, Sequence[Round]],
    typical: TypicalCall,
    top: float,
    scale: float,
    warmup: float,
) -> tuple[ProfilePoint, ...]:
    """One point for each measured rate, placed at the load that its calls saw. A point whose calls
    saw no load is left out, since the idle engine has that point; so is one whose calls saw more
    than the engine sustains, since that latency would grow for ever.
    """
    found: dict[float, ProfilePoint] = {}
    for meant, rounds in kept.items():
        own = [
            (one, samples)
            for one in rounds
            if (samples := [s for s in one.after(warmup) if s.workflow == workflow])
        ]
        rate = scale * _load_seen(own) if meant else 0.0
        if own and (not meant or 0.0 < rate <= top):
            found[rate] = point(rate, [samples for _, samples in own], typical)
    return tuple(found[rate] for rate in sorted(found))


def _load_seen(rounds: Sequence[tuple[Round, Sequence[Sample]]]) -> float:
    """Calls per second that a call of these rounds saw, on average."""
    calls = sum(len(samples) for _, samples in rounds)
    return sum(one.load_seen(own) * len(own) for one, own in rounds) / calls if calls else 0.0


def point(rate: float, rounds: Sequence[Sequence[Sample]], typical: TypicalCall) -> ProfilePoint:
    """The latency of one workflow's calls at one rate, for a call of typical length."""
    samples = [sample for each in rounds for sample in each]
    known = mean_latency(rounds, {samples[0].workflow: typical})
    return profile_point(rate, known.mean, known.noise, samples)
