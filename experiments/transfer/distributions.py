"""What was driven, simulated: runs and calls as distributions, beside those measured.

Two simulations of each load, both with the step times that the profile's fit gives (of the other
workflow): `traced` replays the runs that were traced beforehand, at Poisson arrivals, as a plan is
checked; `driven` replays the very runs that were driven, arriving when they did, so that what is
left is the error of engines and queues, not of which runs came.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.distributions import compare

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.curves.fitted_timer import FittedTimer
from scepsy.estimate.step_times.fitted import fitted
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.results.measure import window
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import replays
from scepsy.store import read_traces

RUNS = 1000
"""Simulated of the traced ones: many more than were driven, so that their noise is small."""

Samples = dict[str, list[float]]
"""Seconds by what: "runs", and each LLM's calls, and their first tokens where calls streamed."""
Row = dict[str, Any]


def driven_between(directory: Path, workflow: str, begin: float, end: float) -> list[Trace]:
    """The successful runs that began in between (Unix seconds), in order of their start."""
    found = [
        trace
        for trace in read_traces(directory, workflow).traces
        if trace.ok and begin <= trace.start <= end
    ]
    return sorted(found, key=lambda trace: trace.start)


def rows_of(
    load: float, plan: Plan, profile: Profile, traced: Sequence[Trace], driven: Sequence[Trace]
) -> list[Row]:
    """A row for each simulation and quantity at one load; none where nothing was driven."""
    if len(driven) < 2:
        return []
    measured = samples_of(driven)
    start = driven[0].start
    times = [trace.start - start for trace in driven]
    rate = (len(times) - 1) / max(times[-1], 1e-9)
    poisson = arrivals(rate, RUNS, random.Random(0))
    simulated = {
        "driven": simulated_samples(plan, profile, driven, times, edges=False),
        "traced": simulated_samples(plan, profile, traced, poisson, edges=True),
    }
    return [
        {"load": load, "replayed": which, "what": what, **_rounded(compare(ours[what], theirs))}
        for which, ours in simulated.items()
        for what, theirs in measured.items()
        if ours.get(what)
    ]


def samples_of(traces: Sequence[Trace]) -> Samples:
    found: Samples = {"runs": [trace.latency for trace in traces]}
    for call in (call for trace in traces for call in trace.calls if call.ok):
        found.setdefault(f"calls of {call.llm}", []).append(call.duration)
        if call.stream and call.first_token is not None:
            first = found.setdefault(f"first tokens of {call.llm}", [])
            first.append(call.first_token - call.start)
    return dict(sorted(found.items()))


def simulated_samples(
    plan: Plan, profile: Profile, traces: Sequence[Trace], times: Sequence[float], *, edges: bool
) -> Samples:
    """Of the runs of the traces, one after another in random order (in theirs where as many arrive
    as there are), arriving at these times. `edges`: who arrives first and last does not count.

    Raises BadInput for a call that does not tell its tokens.
    """
    made = with_fitted_steps(plan, profile)
    workflow = traces[0].workflow
    replay = replays(traces, random.Random(0))[workflow]
    if len(times) == len(traces):
        replay = replays(traces, _InOrder())[workflow]
    simulate(made, [OpenLoopLoad(replay, times)])
    begin, end = window(made) if edges else (0.0, float("inf"))
    runs = [run.latency for run in made.runs if begin <= run.arrival <= end]
    found: Samples = {"runs": runs}
    for call in made.calls:
        if begin <= call.start <= end:
            llm = call.ask.llm
            found.setdefault(f"calls of {llm}", []).append(call.latency)
            found.setdefault(f"first tokens of {llm}", []).append(call.first_token - call.start)
    return found


class _InOrder(random.Random):
    """Leaves things as they are."""

    def shuffle(self, x: Any) -> None: ...


def with_fitted_steps(plan: Plan, profile: Profile) -> Simulation:
    """The plan's replicas with the step times of the profile's fit."""
    fits = fitted(profile.curves)

    def timer_of(llm: LlmSpec, _gpu: str, tp: int, gpu_share: float) -> FittedTimer:
        return FittedTimer(fits[llm.name, tp, gpu_share])

    made = deployment(plan, timer_of, contention=False, outside_steps=False)
    if isinstance(made, Infeasible):
        raise RuntimeError(made.reason)
    return made


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in row.items()}


def table(rows: Sequence[Row]) -> str:
    """In Markdown: means and errors of mean and quantiles, and the distance."""
    lines = [
        "| load | replayed | what | observed mean | simulated | mean | p50 | p90 | p99 | KS | n |",
        "|-" * 11 + "|",
    ]
    for row in rows:
        errors = " | ".join(f"{row[f'{at}_error']:+.1%}" for at in ("mean", "p50", "p90", "p99"))
        lines.append(
            f"| {row['load']:.0%} | {row['replayed']} | {row['what']} "
            f"| {row['mean_observed']:.3f} s | {row['mean_predicted']:.3f} s | {errors} "
            f"| {row['ks']:.2f} | {row['samples']} |"
        )
    return "\n".join(lines) + "\n"
