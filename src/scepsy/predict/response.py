"""One replica's mean latency against its utilisation, only within what was measured."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import Curve, ProfilePoint
from scepsy.statistics.regression import isotonic

Floats = NDArray[np.float64]

RESAMPLES = 200
MEAN_TO_DEVIATION = (np.pi / 2) ** 0.5
"""Standard deviation over mean absolute error, of a normal error."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A curve in the form that is evaluated: latency (seconds, never falling) at rising utilisation
    in (0, 1].

    `points` are what was measured; `error` is the mean absolute error of an estimate, relative
    (`Curve.error`).
    """

    utilisation: Floats
    latency: Floats
    max_throughput: float
    points: tuple[ProfilePoint, ...] = ()
    error: float = 0.0

    def latency_at(self, utilisation: Floats) -> Floats:
        """Seconds; level below the lowest point, inf beyond the highest.

        Between points, the reciprocal of latency is linear: that is how latency depends on
        utilisation where a replica's calls share it equally (1 - u, M/G/1 processor sharing,
        Kleinrock, Queueing Systems II, section 4.4). Latency itself is convex, so that straight
        lines between few points would lie above it.
        """
        latency = self._between_points(utilisation)
        return np.where(utilisation <= self.utilisation[-1] + 1e-9, latency, np.inf)

    def _between_points(self, utilisation: Floats) -> Floats:
        return 1.0 / np.interp(utilisation, self.utilisation, 1.0 / self.latency)

    def extended_at(self, utilisation: Floats) -> Floats:
        """As `latency_at`, and beyond the highest point on a straight line through the last two.

        Only an interval asks this: how much slower calls would be if the load were somewhat higher
        than the traces say. Latency rises faster than the line there, so the interval is rather
        too narrow than too wide.
        """
        latency = self._between_points(utilisation)
        if len(self.latency) < 2:
            return latency
        run, rise = np.diff(self.utilisation[-2:])[0], np.diff(self.latency[-2:])[0]
        beyond = np.maximum(0.0, utilisation - self.utilisation[-1])
        return latency + beyond * (rise / run if run > 0 else 0.0)

    def noise_at(self, utilisation: float) -> float:
        """Standard error of that latency, seconds: the points' noise, drawn anew for the whole
        curve (a parametric bootstrap of the isotonic regression).
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
        """Standard deviation of that latency, seconds, because it is estimated: 0 where it was
        measured.
        """
        level = float(self._between_points(np.array([utilisation]))[0])
        return MEAN_TO_DEVIATION * self.error * level


@dataclass(frozen=True, slots=True)
class Response:
    """How one LLM answers one workflow's calls, for every (tp, share) within what was profiled.

    `whole[tp]` is a replica on whole GPUs; `fractions[tp]` are its shares of each GPU, rising,
    ending with the whole ones where they were profiled.
    """

    whole: Mapping[int, Measured]
    fractions: Mapping[int, Sequence[tuple[float, Measured]]]

    def at(self, tp: int, gpu_share: float) -> Blend | None:
        """The response of a replica at (tp, gpu_share); None outside what was measured."""
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
    """Between two measured shares: latency at equal utilisation is linear in 1/share, as compute
    time is; so is the time per call at saturation.

    `stretch` is how much longer a call takes than it was measured to.
    """

    below: Measured
    above: Measured
    weight: float
    stretch: float = 1.0

    @property
    def max_throughput(self) -> float:
        """Calls per second of one replica at saturation."""
        return 1.0 / (
            (1 - self.weight) * self.stretch / self.below.max_throughput
            + self.weight * self.stretch / self.above.max_throughput
        )

    def latency_at(self, utilisation: Floats) -> Floats:
        """Mean seconds of a call at each utilisation; inf where it was not measured."""
        if self.weight in (0.0, 1.0):  # 0 * inf is not a number
            return self.stretch * (self.above if self.weight else self.below).latency_at(
                utilisation
            )
        below, above = self.below.latency_at(utilisation), self.above.latency_at(utilisation)
        return self.stretch * ((1 - self.weight) * below + self.weight * above)

    def extended_at(self, utilisation: Floats) -> Floats:
        """As `latency_at`, on a straight line beyond what was measured."""
        below, above = self.below.extended_at(utilisation), self.above.extended_at(utilisation)
        return self.stretch * ((1 - self.weight) * below + self.weight * above)

    def noise_at(self, utilisation: float) -> float:
        """Standard error of the mean for the points' noise, seconds; as if both curves were wrong
        alike.
        """
        return self._between(self.below.noise_at(utilisation), self.above.noise_at(utilisation))

    def estimate_error_at(self, utilisation: float) -> float:
        """Standard deviation of the mean because curves are estimated, seconds."""
        below, above = (one.estimate_error_at(utilisation) for one in (self.below, self.above))
        return self._between(below, above)

    def _between(self, below: float, above: float) -> float:
        return self.stretch * ((1 - self.weight) * below + self.weight * above)


def responses(curves: Iterable[Curve]) -> dict[tuple[str, str], Response]:
    """Responses by (llm, workflow)."""
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
    rates = np.array([point.rate for point in curve.points])
    return Measured(
        utilisation=np.minimum(rates / curve.max_throughput, 1.0),
        latency=never_falling(curve.points),
        max_throughput=curve.max_throughput,
        points=curve.points,
        error=curve.error,
    )


def never_falling(points: Sequence[ProfilePoint]) -> Floats:
    """Least-squares never-falling latencies, each point weighted by its samples.

    More load never makes a call faster, so a dip is noise; pooling spreads it over its neighbours.
    """
    return _isotonic(points, np.array([[point.latency for point in points]]))[0]


def _isotonic(points: Sequence[ProfilePoint], latencies: Floats) -> Floats:
    """Isotonic regression of each row of `latencies` (rows x points)."""
    return isotonic(latencies, np.array([float(max(point.samples, 1)) for point in points]))
