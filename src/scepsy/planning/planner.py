"""The planner on one screen: summarise, predict, search, place, replay, simulate, explain.

`allocate` finds the best allocation by the Aggregate LLM Pipeline. `shortlist` adds others that may
be better in truth, and replays the recorded runs under each. `decide` simulates the best few and
takes one. `plan` does all of this and explains the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.hardware.startable import unstartable
from scepsy.place import place
from scepsy.planning.alternatives import other_loads, other_replica_counts, other_sizes
from scepsy.planning.contention import ITERATIONS_MAX, Iteration, Iterations, with_more_slowdown
from scepsy.planning.decision import Decision, choose
from scepsy.planning.explain import explain
from scepsy.planning.external import exceeded_rate_limit, split_endpoints
from scepsy.planning.gpu_choice import PlannerSteps, decide_within, leave_free
from scepsy.planning.infeasible import explain_infeasible
from scepsy.planning.inputs import check, check_choice_of_gpus, usable
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.problem import Problem, predict
from scepsy.planning.shortlist import Shortlist, replay
from scepsy.planning.simulation import SimulationOptions, draft, simulate
from scepsy.planning.tolerance import DEFAULT_TOLERANCE
from scepsy.planning.what_if import what_ifs
from scepsy.predict import Pipeline, Recorded, recordings, responses
from scepsy.search import Choice, best_placeable, search
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
    simulate: SimulationOptions | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    gpus: int | None = None,
    within: Sequence[LatencyLimit] = (),
) -> Plan | Infeasible:
    """The plan of least mean workflow latency (a sum with the targets' weights, for several
    workflows) that sustains every target rate, or why there is none.

    Of all plans that are slower than that by at most `tolerance`, a part of its latency, the one
    that uses the fewest GPUs is taken. 0: the fastest, however little its last GPU brings.
    `gpus`: how many GPUs of the cluster it may use; None: all. `within`: limits on latency. With
    any, the plan on the fewest GPUs that keeps to them is taken instead.

    GPU shares are searched in steps of `share_step`, with every TP degree and number of replicas;
    where nodes divide their GPUs into equal shares (`Node.shares_per_gpu`), only those are.
    `share_groups`: whether replicas may take parts of the GPUs of a TP group, too. `simulate`: how
    to simulate the best few plans; None: the replay of the recorded runs decides.

    Raises:
        BadInput: what is given is incomplete or does not belong together (`planning.inputs`).
    """
    check(traces, profile, llms, cluster, targets, share_step)
    check_choice_of_gpus(cluster, gpus, tolerance, within, simulated=simulate is not None)
    traces, about_traces = usable(traces, llms, targets)
    demands, endpoints = split_endpoints(summarize(traces), llms)
    pipeline = Pipeline(demands, tuple(targets), responses(profile.curves))
    problem = Problem(
        pipeline, tuple(llms), cluster, share_step, endpoints, share_groups, gpus=gpus
    )
    speed = profile.curves[0].time_scale

    if within:
        decision = decide_within(within, problem, traces, simulate, speed, STEPS)
    else:
        decision = decide(problem, traces, simulate, speed)
    if isinstance(decision, Infeasible):
        assumed = allocate_with_contention(problem).problem
        return explain_infeasible(decision, assumed, allocate)
    if not within:
        decision = leave_free(decision, problem, traces, speed, tolerance, STEPS)

    changed = what_ifs(decision.shortlist.problem)
    outcomes = {change: allocate(changed_problem) for change, changed_problem in changed.items()}
    prediction = decision.prediction
    chosen = msgspec.structs.replace(
        draft(decision.entry, problem, speed),
        prediction=prediction,
        explanation=explain(decision, prediction, profile, outcomes, about_traces),
    )
    return unstartable(chosen) or chosen


def decide(
    problem: Problem,
    traces: Sequence[Trace],
    options: SimulationOptions | None,
    speed: float = 1.0,
) -> Decision | Infeasible:
    """The plan to take. `speed` is how many times as fast as real engines the engines run."""
    found = shortlist(problem, recordings(traces))
    if isinstance(found, Infeasible):
        return found
    if options is None:
        return choose(found, None)
    return choose(found, simulate(found.entries, problem, traces, options, speed))


def shortlist(problem: Problem, recorded: Mapping[str, Recorded]) -> Shortlist | Infeasible:
    """The few plans to simulate. Infeasible if no allocation can be placed, even without a slowdown
    by engines on the same GPU.
    """
    found = allocate_with_contention(problem)
    if isinstance(found.steps[0].outcome, Infeasible):
        return found.steps[0].outcome
    assumed, best = found.feasible[-1]
    allocation = best.candidate.allocation
    sizes = {llm: allocate(other) for llm, other in other_sizes(assumed, allocation).items()}
    counts = [allocate(other) for other in other_replica_counts(assumed, allocation)]
    loads = [allocate_with_contention(other).outcome for other in other_loads(problem)]
    earlier = [choice for _, choice in reversed(found.feasible)]
    placements = {
        one.candidate.allocation: one.placement
        for one in (*earlier, *sizes.values(), *counts, *loads)
        if isinstance(one, Choice)
    }
    return Shortlist(
        entries=replay(problem, {**placements, **best.placements}, recorded),
        problem=assumed,
        choice=best,
        other_sizes=sizes,
        refused=found.refusal,
        converged=found.converged,
        recorded=recorded,
    )


def allocate_with_contention(problem: Problem) -> Iterations:
    """`allocate` until the neighbours that placement puts on each GPU slow its engines by no more
    than was assumed; first without any slowdown.
    """
    steps: list[Iteration] = []
    for _ in range(ITERATIONS_MAX + 1):
        outcome = allocate(problem)
        steps.append(Iteration(problem, outcome))
        if isinstance(outcome, Infeasible):
            return Iterations(tuple(steps), converged=True)
        slower = with_more_slowdown(problem, outcome.candidate.allocation, outcome.placement)
        if slower is None:
            return Iterations(tuple(steps), converged=True)
        problem = slower
    return Iterations(tuple(steps), converged=False)


def allocate(problem: Problem) -> Choice | Infeasible:
    """The best allocation that can be placed, and the next best: exact by the Aggregate LLM
    Pipeline, with the slowdown by neighbours that `problem` assumes.
    """
    exceeded = exceeded_rate_limit(problem.endpoints, problem.targets)
    if exceeded is not None:
        return exceeded
    costs = predict(problem)
    candidates = search(
        problem.needed_llms,
        problem.cluster,
        costs,
        share_step=problem.share_step,
        share_groups=problem.share_groups,
        gpus=problem.gpus,
    )
    if isinstance(candidates, Infeasible):
        return candidates
    return best_placeable(
        candidates,
        lambda allocation: place(allocation, problem.cluster, gpus=problem.gpus),
        runners_up=1,
    )


STEPS = PlannerSteps(allocate_with_contention, shortlist)
"""What `gpu_choice` repeats on fewer GPUs."""
