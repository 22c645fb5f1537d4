"""Corrects an estimated curve by measured points (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import Curve, ProfilePoint

Floats = NDArray[np.float64]

SCALES = np.geomspace(0.33, 3.0, 601)
"""Candidates for the ratio of real to estimated step time."""
KEPT = 0.7
"""The fraction of an estimate's error that remains after a correction by one measured point: for
dense LLMs, over 653 serving points (0.48 for mixtures; `experiments/one_point_corrects.py`). For n
points KEPT / n^0.5 is assumed.
"""


def correct(estimated: Curve, measured: Sequence[ProfilePoint]) -> Curve:
    """The curve if steps take `scale` times as long and every call takes `host` more seconds. Both
    are chosen by least squares of the relative errors at the measured points:

        latency(rate) = scale * estimate(scale * rate) + host,    throughput = estimate / scale

    With a single point only `scale` is fitted.
    """
    if not measured:
        return estimated
    rates = np.array([point.rate for point in measured])
    latencies = np.array([point.latency for point in measured])
    fits = [_fit(estimated, rates, latencies, float(scale)) for scale in SCALES]
    best = min(range(len(fits)), key=lambda index: fits[index][0])
    residual, host = fits[best]
    scale = float(SCALES[best])
    left = max(residual / len(measured) ** 0.5, KEPT * estimated.error / len(measured) ** 0.5)
    return msgspec.structs.replace(
        estimated,
        points=tuple(_moved(point, scale, host) for point in estimated.points),
        max_throughput=estimated.max_throughput / scale,
        source="corrected",
        error=min(left, max(estimated.error, residual)),
    )


def _fit(curve: Curve, rates: Floats, latencies: Floats, scale: float) -> tuple[float, float]:
    """Root of the summed squares of relative errors, and the `host` that minimises it."""
    at = np.interp(
        rates * scale,
        [point.rate for point in curve.points],
        [point.latency for point in curve.points],
    )
    beyond = rates * scale > curve.max_throughput
    host = 0.0
    if len(rates) > 1:
        weights = 1.0 / latencies**2
        host = max(0.0, float(np.sum(weights * (latencies - scale * at)) / np.sum(weights)))
    errors = (scale * at + host) / latencies - 1.0
    # A rate at which calls were completed cannot be above saturation.
    return float(np.sqrt(np.sum(errors**2)) + np.sum(beyond)), host


def _moved(point: ProfilePoint, scale: float, host: float) -> ProfilePoint:
    return msgspec.structs.replace(
        point,
        rate=point.rate / scale,
        latency=scale * point.latency + host,
        p50=scale * point.p50 + host,
        p90=scale * point.p90 + host,
        p99=scale * point.p99 + host,
        ttft=scale * point.ttft + host,
        tpot=scale * point.tpot,
        noise=scale * point.noise,
        ttft_quantiles=None,
        tpot_quantiles=None,
    )
