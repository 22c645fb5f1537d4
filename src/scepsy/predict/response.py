"""Latency curves: the mean latency of a call against the utilisation of each replica.

Curves are interpolated between measured points and not extrapolated.

A curve is measured at one replica, which takes every burst of calls in full. Several replicas that
share the calls are faster at the same utilisation: each takes a part of a burst, and a call waits
only while all of them are busy. In an M/M/c queue of utilisation u the waiting time is about
u^(sqrt(2c + 2) - 1) / (c (1 - u)) service times (Sakasegawa, An approximation formula
L_q = alpha rho^beta / (1 - rho), Ann. Inst. Statist. Math. 29, 1977), near saturation in proportion
to 1/c. So latency is linear in 1 / replicas here, between one replica and `POOLED_REPLICAS`, which
were simulated. More replicas count as that many.

A run waits for the calls of a burst together. Where they wait for one another on one replica, they
overlap less than on several or under less load. So a curve also has the seconds that a run spends
for each call: latency over the mean number of its calls that are open at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import POOLED_REPLICAS, Curve, ProfilePoint
from scepsy.statistics.regression import isotonic

Floats = NDArray[np.float64]
Replicas = int | NDArray[np.int64]

RESAMPLES = 200
"""Draws of the parametric bootstrap: the standard error of its standard deviation is 5%."""
MEAN_TO_DEVIATION = (np.pi / 2) ** 0.5
"""Standard deviation divided by mean absolute error, of a normally distributed error."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One profiled curve, fitted so that latency never falls as utilisation rises.

    Attributes:
        utilisation: of each point, rising, in (0, 1].
        latency: mean seconds of a call at each point, never falling.
        pooled: the same where `POOLED_REPLICAS` replicas share the calls; at most `latency`.
        spent: seconds of a run for each call, as `latency` and as `pooled`; None if not known.
        max_throughput: calls per second of one replica at saturation.
        points: the measured points, before the fit.
        error: mean absolute error, relative, of an estimated curve (`Curve.error`).
    """

    utilisation: Floats
    latency: Floats
    pooled: Floats
    max_throughput: float
    points: tuple[ProfilePoint, ...] = ()
    error: float = 0.0
    spent: tuple[Floats, Floats] | None = None

    def latency_at(self, utilisation: Floats, replicas: Replicas = 1) -> Floats:
        """Seconds; constant below the lowest point, inf beyond the highest. `replicas` is one
        number, or one for each utilisation.

        Between points, the reciprocal of latency is interpolated linearly. In an M/G/1 queue with
        processor sharing it is linear in the utilisation u, proportional to 1 - u (Kleinrock,
        Queueing Systems II, section 4.4). Latency itself is convex, so straight lines between few
        points would lie above it.
        """
        latency = self._between_points(utilisation, replicas)
        return np.where(utilisation <= self.utilisation[-1] + 1e-9, latency, np.inf)

    def spent_at(self, utilisation: Floats, replicas: Replicas, parallelism: float) -> Floats:
        """Seconds of a run for each call, interpolated as latency is; inf beyond the highest point.
        Where that is not known, latency over `parallelism`.
        """
        if self.spent is None:
            return self.latency_at(utilisation, replicas) / parallelism
        spent = self._interpolated(self.spent, utilisation, replicas)
        return np.where(utilisation <= self.utilisation[-1] + 1e-9, spent, np.inf)

    def _between_points(self, utilisation: Floats, replicas: Replicas = 1) -> Floats:
        return self._interpolated((self.latency, self.pooled), utilisation, replicas)

    def _interpolated(
        self, known: tuple[Floats, Floats], utilisation: Floats, replicas: Replicas
    ) -> Floats:
        one, pooled = (1.0 / np.interp(utilisation, self.utilisation, 1.0 / each) for each in known)
        return one + _pooled_part(replicas) * (pooled - one)

    def extended_at(self, utilisation: Floats, replicas: Replicas = 1) -> Floats:
        """As `latency_at`, but extrapolated beyond the highest point on the line through the last
        two points.

        Only intervals use this, for calls under a load somewhat higher than the traced one. Latency
        rises faster than the line there, so the interval is too narrow rather than too wide.
        """
        latency = self._between_points(utilisation, replicas)
        if len(self.latency) < 2:
            return latency
        run = np.diff(self.utilisation[-2:])[0]
        rise = np.diff(self._between_points(self.utilisation[-2:], replicas))[0]
        beyond = np.maximum(0.0, utilisation - self.utilisation[-1])
        return latency + beyond * (rise / run if run > 0 else 0.0)

    def noise_at(self, utilisation: float) -> float:
        """Standard error of that latency in seconds, due to the noise of the points, by a
        parametric bootstrap of the isotonic regression.
        """
        if not any(point.noise for point in self.points):
            return 0.0
        latency, noises = np.array([(point.latency, point.noise) for point in self.points]).T
        normal = np.random.default_rng(0).standard_normal((RESAMPLES, len(self.points)))
        drawn = _isotonic(self.points, latency + noises * normal)
        place = float(np.interp(utilisation, self.utilisation, np.arange(len(self.points))))
        low, high = int(place), math.ceil(place)
        part = place - low
        return float(np.std((1.0 - part) * drawn[:, low] + part * drawn[:, high]))

    def estimate_error_at(self, utilisation: float) -> float:
        """Standard deviation of that latency in seconds, due to the error of an estimated curve; 0
        for a measured one.
        """
        level = float(self._between_points(np.array([utilisation]))[0])
        return MEAN_TO_DEVIATION * self.error * level


@dataclass(frozen=True, slots=True)
class Response:
    """The latency curves of one LLM for the calls of one workflow, by replica size.

    Attributes:
        whole: by TP degree, the curve of a replica on whole GPUs.
        fractions: by TP degree, (GPU share, curve) in order of rising shares. The last one is that
            of whole GPUs where it was profiled.
    """

    whole: Mapping[int, Measured]
    fractions: Mapping[int, Sequence[tuple[float, Measured]]]

    def at(self, tp: int, gpu_share: float) -> Blend | None:
        """The curve of a replica at (tp, gpu_share); None outside the profiled sizes."""
        if gpu_share >= 1.0 - 1e-9:
            exact = self.whole.get(tp)
            return None if exact is None else Blend(exact, exact, 0.0)
        fractions = self.fractions.get(tp, ())
        for (low, below), (high, above) in pairwise(fractions):
            if low - 1e-9 <= gpu_share <= high + 1e-9:
                return Blend(below, above, (1 / low - 1 / gpu_share) / (1 / low - 1 / high))
        if fractions and abs(fractions[0][0] - gpu_share) < 1e-9:
            return Blend(fractions[0][1], fractions[0][1], 0.0)
        return None


@dataclass(frozen=True, slots=True)
class Blend:
    """A curve interpolated between those of two profiled GPU shares. Latency at equal utilisation
    and the time per call at saturation are linear in 1 / share, as compute time is.

    Attributes:
        below: the curve at the smaller share.
        above: the curve at the larger share.
        weight: of `above`, in [0, 1].
        slowdown: factor on durations, for neighbours on the same GPU.
    """

    below: Measured
    above: Measured
    weight: float
    slowdown: float = 1.0

    @property
    def max_throughput(self) -> float:
        """Calls per second of one replica at saturation."""
        return 1.0 / (
            (1 - self.weight) * self.slowdown / self.below.max_throughput
            + self.weight * self.slowdown / self.above.max_throughput
        )

    def latency_at(self, utilisation: Floats, replicas: Replicas = 1) -> Floats:
        """Mean seconds of a call at each utilisation of each of so many replicas; inf beyond the
        measured ones.
        """
        if self.weight in (0.0, 1.0):  # 0 * inf is not a number
            curve = self.above if self.weight else self.below
            return self.slowdown * curve.latency_at(utilisation, replicas)
        below, above = (one.latency_at(utilisation, replicas) for one in (self.below, self.above))
        return self.slowdown * ((1 - self.weight) * below + self.weight * above)

    def spent_at(self, utilisation: Floats, replicas: Replicas, parallelism: float) -> Floats:
        """Seconds of a run for each call, as `Measured.spent_at`."""
        if self.weight in (0.0, 1.0):
            curve = self.above if self.weight else self.below
            return self.slowdown * curve.spent_at(utilisation, replicas, parallelism)
        below, above = (
            one.spent_at(utilisation, replicas, parallelism) for one in (self.below, self.above)
        )
        return self.slowdown * ((1 - self.weight) * below + self.weight * above)

    def extended_at(self, utilisation: Floats, replicas: Replicas = 1) -> Floats:
        """As `latency_at`, but extrapolated linearly beyond the measured utilisations."""
        below, above = (one.extended_at(utilisation, replicas) for one in (self.below, self.above))
        return self.slowdown * ((1 - self.weight) * below + self.weight * above)

    def noise_at(self, utilisation: float) -> float:
        """Standard error of the mean in seconds, due to the noise of the points. The errors of both
        curves are taken as fully correlated.
        """
        return self._between(self.below.noise_at(utilisation), self.above.noise_at(utilisation))

    def estimate_error_at(self, utilisation: float) -> float:
        """Standard deviation of the mean in seconds, due to the error of estimated curves."""
        below, above = (one.estimate_error_at(utilisation) for one in (self.below, self.above))
        return self._between(below, above)

    def _between(self, below: float, above: float) -> float:
        return self.slowdown * ((1 - self.weight) * below + self.weight * above)


def responses(curves: Iterable[Curve]) -> dict[tuple[str, str], Response]:
    """The curves, grouped by (LLM, workflow)."""
    grouped: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in curves:
        grouped[curve.llm, curve.workflow].append(curve)
    return {key: _response(group) for key, group in grouped.items()}


def _response(curves: Sequence[Curve]) -> Response:
    by_size = {(curve.tp, curve.gpu_share): _measured(curve) for curve in curves}
    fractions: dict[int, list[tuple[float, Measured]]] = defaultdict(list)
    for tp, share in sorted(by_size):
        fractions[tp].append((share, by_size[tp, share]))
    whole = {tp: known for (tp, share), known in by_size.items() if share >= 1.0}
    return Response(whole=whole, fractions=fractions)


def _measured(curve: Curve) -> Measured:
    rates, points = np.array([point.rate for point in curve.points]), curve.points
    latency = never_falling(points)
    several = never_falling(points, [one.pooled.latency if one.pooled else 1.0 for one in points])
    return Measured(
        utilisation=np.minimum(rates / curve.max_throughput, 1.0),
        latency=latency,
        pooled=np.minimum(latency, several),
        max_throughput=curve.max_throughput,
        points=points,
        error=curve.error,
        spent=_spent(points),
    )


def _spent(points: Sequence[ProfilePoint]) -> tuple[Floats, Floats] | None:
    known = [(one.one, one.pooled) for one in points if one.one and one.pooled]
    if len(known) < len(points):
        return None
    alone, pooled = (
        never_falling(points, [one.latency / one.parallelism for one in of])
        for of in zip(*known, strict=True)
    )
    return alone, np.minimum(alone, pooled)


def never_falling(points: Sequence[ProfilePoint], factors: Sequence[float] | None = None) -> Floats:
    """The latencies, times `factors`, by isotonic (never falling) least-squares regression, each
    point weighted by its samples. More load never makes a call faster, so a dip is noise.
    """
    latency = np.array([[point.latency for point in points]])
    return _isotonic(points, latency if factors is None else latency * np.array(factors))[0]


def _pooled_part(replicas: Replicas) -> Floats:
    """How far that many replicas are on the way from one to `POOLED_REPLICAS`, 0 to 1, linearly
    in 1 / replicas.
    """
    part = (1.0 - 1.0 / np.asarray(replicas, dtype=np.float64)) / (1.0 - 1.0 / POOLED_REPLICAS)
    return np.clip(part, 0.0, 1.0)


def _isotonic(points: Sequence[ProfilePoint], latencies: Floats) -> Floats:
    """Isotonic regression of each row of `latencies` (rows x points)."""
    return isotonic(latencies, np.array([float(max(point.samples, 1)) for point in points]))
