"""A limit on the latency of every workflow: on the mean or on a quantile of its runs (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean

from scepsy.core.plan import Prediction
from scepsy.errors import BadInput
from scepsy.sim.results.paired_trials import Trial
from scepsy.statistics.quantiles import quantile

STATISTICS = {"mean": None, "p90": 0.9, "p99": 0.99}
"""By the name of a statistic: the quantile in (0, 1), None for the mean."""


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """The latency of every targeted workflow is at most `seconds`, where
    `statistic` (a key of `STATISTICS`) says which one. Quantiles are those of simulated runs.

    Raises BadInput for an unknown statistic, or a limit that is no positive number of seconds.
    """

    seconds: float
    statistic: str = "mean"

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise BadInput(
                f"there is no limit on {self.statistic!r}; there are: {', '.join(STATISTICS)}"
            )
        if not (isfinite(self.seconds) and self.seconds > 0):
            raise BadInput(f"a latency limit of {self.seconds:g} s: it must be positive")

    @property
    def simulated(self) -> bool:
        """Whether it takes a simulation to decide if the limit is met."""
        return self.statistic != "mean"

    @property
    def name(self) -> str:
        return "mean latency" if self.statistic == "mean" else f"{self.statistic} latency"

    def replayed(self, prediction: Prediction) -> float:
        """Seconds: the highest mean of a workflow, by replay. For a limit on a quantile it stands
        for a lower bound: the mean exceeds the p90 only if the slowest tenth of the runs is much
        slower than all others.
        """
        return max((flow.latency_mean for flow in prediction.workflows), default=0.0)

    def measured(self, trial: Trial) -> float:
        """Seconds: the highest value of a workflow over its simulated runs; inf where a workflow
        has none.
        """
        return max((self._of(runs) for runs in trial.latencies.values()), default=inf)

    def _of(self, latencies: Iterable[float]) -> float:
        found, q = list(latencies), STATISTICS[self.statistic]
        if not found:
            return inf
        return fmean(found) if q is None else quantile(found, q)
