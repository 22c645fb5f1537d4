"""What the simulation of the best few plans found, in sentences (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from math import isfinite
from statistics import fmean

from scepsy.core.plan import Infeasible, StagePrediction, WorkflowPrediction
from scepsy.planning.allocation_text import differences
from scepsy.planning.decision import Decision
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.simulation import (
    CALLS_RATIO_MAX,
    NOTICEABLE,
    REPLAY_RATIO_MAX,
    RUNS_MIN,
    SimulationOutcome,
)
from scepsy.sim.results.paired_trials import Trial, difference
from scepsy.traces.latency_trend import MIN_RUNS

REPLAY_ERROR_MAX = 0.1
"""Relative difference of replay and simulation that is reported with a plan. E2 finds the replay
within 10% of the simulation at low and middle load."""


def sentences(decision: Decision) -> Iterator[str]:
    """Which predictor decided, against which other plans, and what it could not tell."""
    chosen, simulated = decision.entry, decision.simulated
    if simulated is None:
        yield "Not simulated: the replay of the recorded runs decided"
    elif isinstance(simulated, Infeasible):
        yield f"Not simulated: {simulated.reason}. The replay of the recorded runs decided"
    else:
        yield _compared(decision, simulated)
        yield from _too_short(simulated)
        yield from _disagreement(chosen, simulated.trials[simulated.best])
        if simulated.verdict == "not sustained":
            yield (
                f"{_none_of(len(simulated.trials))} sustains the targets: expect latency to grow "
                "as long as this load lasts"
            )
        elif not isfinite(chosen.replay.objective):
            yield (
                "By the profile and the modelled slowdown by neighbours on a GPU, this plan does "
                "not meet the targets; simulated, it does. Its latency is the simulated one"
            )


def _compared(decision: Decision, simulated: SimulationOutcome) -> str:
    """Which other plans were simulated, and whether they are slower."""
    entries, chosen, trials = decision.shortlist.entries, decision.entry, simulated.trials
    others = len(trials) - 1
    if not others:
        return f"Only this plan was simulated: {_why_alone(len(entries), simulated)}"
    first = entries[next(iter(trials))]
    if chosen is first:
        plans = "1 other plan" if others == 1 else f"{others} other plans"
        return (
            f"Simulated with the same runs as {plans}: no other plan is significantly faster "
            f"(95% confidence, at least {NOTICEABLE:.0%})"
        )
    theirs, ours = trials[entries.index(first)], trials[simulated.best]
    slower, error = difference(theirs, ours)
    found = f"is {slower:.2g} s slower (standard error {error:.2g} s)"
    if theirs.verdict == "not sustained" and ours.verdict != "not sustained":
        found = "does not sustain the targets"
    return (
        "The replay of the recorded runs ranks another plan first "
        f"({differences(chosen.allocation, first.allocation)}). Simulated with the same runs, that "
        f"one {found}"
    )


def _why_alone(entries: int, simulated: SimulationOutcome) -> str:
    if simulated.options.plans == 1:
        return "no more than one was asked for"
    if entries == 1:
        return "no other allocation differs from it in an LLM that matters"
    if simulated.not_servable:
        return "in the others, an engine could not start or has no room for a call"
    return (
        "the replay of the recorded runs finds every other plan more than "
        f"{REPLAY_RATIO_MAX - 1:.0%} slower"
    )


def _none_of(plans: int) -> str:
    return "The simulated plan does not, and none" if plans == 1 else f"None of the {plans} plans"


def _too_short(simulated: SimulationOutcome) -> Iterator[str]:
    """Workflows for which the simulation does not tell whether their rate is sustained."""
    trial = simulated.trials[simulated.best]
    for workflow, verdict in trial.verdicts.items():
        if verdict != "too short to tell":
            continue
        rate, offered = simulated.loads[workflow]
        measured = len(trial.latencies[workflow])
        longer = f"`scepsy simulate --duration {math.ceil(2 * RUNS_MIN / rate)}` takes longer"
        unknown = f"Whether the rate of {workflow} is sustained is not known: "
        if offered < RUNS_MIN:
            most = round(CALLS_RATIO_MAX * simulated.options.calls)
            yield (
                f"{unknown}it starts so rarely that {RUNS_MIN} of its runs need more than the "
                f"{most:,} calls that are simulated for a plan; {offered} were simulated ({longer})"
            )
        elif measured < MIN_RUNS:
            yield f"{unknown}{measured} simulated runs are too few ({longer})"
        else:
            yield (
                f"{unknown}its {measured} simulated runs vary too much, or take too long for the "
                "time in which they arrived (`scepsy simulate --duration` takes longer)"
            )


def _disagreement(chosen: ShortlistEntry, trial: Trial) -> Iterator[str]:
    """Workflows whose replayed and simulated latencies differ by more than `REPLAY_ERROR_MAX`, with
    what makes most of the difference.
    """
    traced = {demand.workflow: demand.runs for demand in chosen.problem.demands}
    for flow in chosen.replay.workflows:
        simulated = fmean(trial.latencies[flow.workflow])
        replayed = flow.latency_mean
        if not isfinite(replayed) or abs(replayed / simulated - 1) <= REPLAY_ERROR_MAX:
            continue
        yield (
            f"{flow.workflow}: the replay of the recorded runs predicts a mean latency of "
            f"{replayed:.3g} s, the simulation {simulated:.3g} s. "
            f"{_cause(flow, trial, traced[flow.workflow], simulated - replayed)} "
            "Count on the slower of the two until `scepsy drive` has measured it"
        )


def _cause(flow: WorkflowPrediction, trial: Trial, traced: int, gap: float) -> str:
    """What makes most of `gap`, the seconds by which the simulated mean exceeds the replayed one:
    the LLM whose calls differ most, or the runs.
    """
    parts = [_gap(flow, stage, trial) / gap for stage in flow.stages]
    if sum(parts) > 0.5:
        largest, stage = max(zip(parts, flow.stages, strict=True), key=lambda one: one[0])
        part = min(1.0, largest / sum(parts))  # more where other LLMs differ the other way
        return (
            f"Most of the difference is in the LLMs, {part:.0%} of it in "
            f"{stage.llm}: a call takes {stage.call_latency:.3g} s by its latency curve and "
            f"{trial.calls[flow.workflow, stage.llm]:.3g} s in the simulation, which computes "
            "batches, queues and neighbours itself."
        )
    return (
        f"Most of the difference is in the runs: the replay has the {traced} recorded ones, the "
        f"simulation measured {len(trial.latencies[flow.workflow])}, and runs differ in their "
        "calls and in the time that tools and people take."
    )


def _gap(flow: WorkflowPrediction, stage: StagePrediction, trial: Trial) -> float:
    """Seconds of workflow latency by which the stage is slower in the simulation."""
    call = trial.calls.get((flow.workflow, stage.llm))
    if call is None or not stage.call_latency:
        return 0.0
    return stage.seconds * (call / stage.call_latency - 1)
