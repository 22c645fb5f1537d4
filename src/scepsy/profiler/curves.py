"""Makes the curves of a profile from measured rounds (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from scepsy.core.profile import Curve, ProfilePoint, Quantiles
from scepsy.curves.batch_means import mean_latency
from scepsy.curves.bursts import Stream
from scepsy.curves.rounds import Round, Sample, TypicalCall, typical_calls
from scepsy.curves.throughput_alone import throughput_alone
from scepsy.errors import EngineFailed
from scepsy.profiler.fit_steps import step_time
from scepsy.profiler.sweep.next_round import SweepSettings, curve_rounds, saturated
from scepsy.statistics.quantiles import quantile


def curves(
    template: Curve, stream: Stream, rounds: Sequence[Round], settings: SweepSettings
) -> list[Curve]:
    """One curve for each workflow. `template` is a curve with all that they have in common.

    Raises EngineFailed where no call of some workflow was measured.
    """
    typical = typical_calls(stream)
    total = saturated(rounds, typical, settings).rate
    kept = curve_rounds(rounds, total, settings)
    top = throughput_alone(
        total, stream.calls, {name: one.duration for name, one in typical.items()}
    )
    steps = step_time([one for found in kept.values() for one in found])
    made: list[Curve] = []
    for name in sorted(stream.runs):
        points = _points(name, kept, typical[name], top[name], top[name] / total, settings.warmup)
        if not points:
            raise EngineFailed(
                f"no call of {name!r} to {template.llm!r} was measured; allow a larger budget"
            )
        made.append(
            msgspec.structs.replace(
                template, workflow=name, points=points, max_throughput=top[name], steps=steps
            )
        )
    return made


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
    latencies = sorted(sample.latency for sample in samples)
    ttfts = [sample.ttft for sample in samples if sample.ttft is not None]
    tpots = [tpot for sample in samples if (tpot := sample.tpot) is not None]
    return ProfilePoint(
        rate=rate,
        latency=known.mean,
        p50=quantile(latencies, 0.5),
        p90=quantile(latencies, 0.9),
        p99=quantile(latencies, 0.99),
        ttft=fmean(ttfts) if ttfts else known.mean,
        tpot=fmean(tpots) if tpots else 0.0,
        samples=len(samples),
        noise=known.noise,
        ttft_quantiles=_quantiles(ttfts),
        tpot_quantiles=_quantiles(tpots),
    )


def _quantiles(values: Sequence[float]) -> Quantiles | None:
    if not values:
        return None
    ranked = sorted(values)
    return Quantiles(
        p50=quantile(ranked, 0.5), p90=quantile(ranked, 0.9), p99=quantile(ranked, 0.99)
    )
