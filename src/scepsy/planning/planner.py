"""The loop on one screen: summarize, predict, search, place, look closely at the best -> Plan.

The pipeline prunes; the replay ranks the best few; the simulator confirms the winner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Prediction, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.hardware.startable import unstartable
from scepsy.planning import explain, ranking
from scepsy.planning.confirm import Confirm, Confirmed, confirm, draft
from scepsy.planning.external import set_apart
from scepsy.planning.inputs import check
from scepsy.planning.prediction import promised
from scepsy.planning.problem import Problem
from scepsy.planning.provenance import notes
from scepsy.planning.shortlist import Shortlist, ShortlistEntry, shortlist
from scepsy.predict import recordings, responses
from scepsy.traces.summarize import summarize


def plan(  # noqa: PLR0913 - the last three are questions of their own
    traces: Sequence[Trace],
    profile: Profile,
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    targets: Sequence[Target],
    *,
    share_step: float = 0.1,
    share_groups: bool = False,
    simulate: Confirm | None = None,
) -> Plan | Infeasible:
    """The plan of least weighted mean latency that sustains every target, or why there is none.

    The best few are exact on the Aggregate LLM Pipeline's objective, over GPU shares in steps of
    `share_step` x TP x replicas. Which of them it is, the recorded runs decide, and where
    `simulate` says how, a simulation of them. `share_groups`: shares of TP groups too, as far as
    they were profiled.

    Raises:
        BadInput: a target without traces, an LLM without a profile or a description, a profile of
            other GPUs.
    """
    wanted = {target.workflow for target in targets}
    check(traces, profile, cluster, wanted)
    known = [trace for trace in traces if trace.workflow in wanted]
    demands, hosted = set_apart(summarize(known), llms)
    answers = responses(profile.curves)
    problem = Problem(
        demands,
        tuple(targets),
        answers,
        tuple(llms),
        cluster,
        share_step,
        hosted,
        share_groups=share_groups,
    )
    speed = profile.curves[0].time_scale

    decision = decide(problem, known, simulate, speed)
    if isinstance(decision, Infeasible):
        return explain.infeasible(decision, problem.settled()[0])

    entry, listed, verdict = decision.entry, decision.listed, decision.verdict
    said = (*ranking.sentences(listed, verdict, entry), *notes(profile, entry.allocation))
    why = explain.explanation(entry, listed, ranking.finalists(listed, verdict, entry), said)
    chosen = msgspec.structs.replace(
        draft(entry, problem, speed), prediction=decision.prediction, explanation=why
    )
    return unstartable(chosen) or chosen


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen, among what, and what the simulator said, if it was asked."""

    entry: ShortlistEntry
    listed: Shortlist
    verdict: Confirmed | Infeasible | None

    @property
    def prediction(self) -> Prediction:
        verdict = self.verdict
        return promised(
            self.entry, verdict.trials[verdict.best] if isinstance(verdict, Confirmed) else None
        )


def decide(
    problem: Problem, traces: Sequence[Trace], simulate: Confirm | None, speed: float = 1.0
) -> Decision | Infeasible:
    """The entry of the shortlist to take. `speed` is how many times as fast as real ones the
    engines run.
    """
    listed = shortlist(problem, recordings(traces))
    if isinstance(listed, Infeasible):
        return listed
    verdict = confirm(listed.entries, problem, traces, simulate, speed) if simulate else None
    if isinstance(verdict, Confirmed) and (
        verdict.verdict == "sustained" or listed.refused is None
    ):
        return Decision(listed.entries[verdict.best], listed, verdict)
    first = listed.entries[0]
    if listed.refused is not None and (
        isinstance(verdict, Confirmed) or not isfinite(first.replay.objective)
    ):
        return listed.refused
    return Decision(first, listed, verdict)
