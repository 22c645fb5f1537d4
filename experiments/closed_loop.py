"""One simulated engine under a closed loop of equal clients: mean TTFT and TPOT."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from scepsy.core.llm import LlmSpec
from scepsy.hardware.step_time import Timer
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.engine.continuous_batching import SimulatedEngine


@dataclass(frozen=True)
class Clients:
    """`concurrency` clients, each with one call open until all calls are sent. Lengths are uniform
    from `least` times the nominal ones to these.
    """

    concurrency: int
    prompt_tokens: int
    output_tokens: int
    least: float = 1.0
    rounds: int = 8


def serve(
    llm: LlmSpec, timer: Timer, kv_tokens: int, clients: Clients, *, step_tokens: int = 8192
) -> tuple[float, float]:
    """Mean seconds to the first token, and of each token after it, over all calls."""
    events = EventQueue()
    engine = SimulatedEngine(
        timer, kv_tokens=kv_tokens, max_sequences=1024, step_tokens=step_tokens
    )
    group = LlmReplicas([SimulatedReplica("only", engine, events)], kv_tokens)
    simulation = Simulation(events, {llm.name: group})
    rng = random.Random(0)
    left = clients.rounds * clients.concurrency
    run = simulation.begin_run("clients")

    def send(_ended: ServedCall | None) -> None:
        nonlocal left
        if left:
            left -= 1
            ask = Ask(
                llm.name,
                round(clients.prompt_tokens * rng.uniform(clients.least, 1.0)),
                max(2, round(clients.output_tokens * rng.uniform(clients.least, 1.0))),
            )
            simulation.call(run, ask, send)

    for _ in range(clients.concurrency):
        events.at(0.0, partial(send), None)
    events.run()
    calls = simulation.calls
    ttft = fmean(call.first_token - call.start for call in calls)
    tpot = fmean((call.end - call.first_token) / (call.ask.output_tokens - 1) for call in calls)
    return ttft, tpot
