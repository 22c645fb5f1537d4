"""Do the short rounds of a profile say what an endless stream would? In simulated time, where there
is no noise but that of the queue.

    scepsy demo --out out/demo && .venv/bin/python experiments/short_rounds.py out/demo

Replays the runs of both programs to one LLM of the demo's plan in one long round and in many short
ones, as the profiler sends them. Prints the mean latency of a call in the short ones, over that of
the long one at the rate that was offered and at the load that the calls saw. About a minute.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Call
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.rounds import Round, Sample
from scepsy.curves.simulated_engine import ask_of
from scepsy.profiler.replay.schedule import ChainArrival, schedule
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import ServedCall, Simulation
from scepsy.sim.workload.prefixes import Blocks, prompt_blocks
from scepsy.store import read_plan, read_traces

LLM = "generator"
SHORT, LONG, ROUNDS = 7.2, 3000.0, 150
LOADS = (0.5, 1.0, 1.3)
GRID = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4)
WARMUP = 0.25


@dataclass(slots=True)
class Sender:
    """A chain on its way: each burst when the one before has ended and the recorded gap is over."""

    simulation: Simulation
    spec: LlmSpec
    blocks: dict[str, Blocks]
    arrival: ChainArrival
    unit: int
    seconds: float
    samples: list[Sample]
    run: int = -1
    burst: int = 0
    left: int = field(default=0)

    def start(self, _: object = None) -> None:
        if self.run < 0:
            self.run = self.simulation.begin_run(self.arrival.chain[0].workflow)
        burst = self.arrival.chain[self.burst]
        self.left = len(burst.calls)
        now = self.simulation.events.now
        for call, offset in zip(burst.calls, burst.offsets, strict=True):
            self.simulation.events.at(now + offset, self.send, call)

    def send(self, call: Call) -> None:
        ask = ask_of(call, self.spec)
        if call.call in self.blocks:
            ask = ask._replace(blocks=self.blocks[call.call].of_run(self.run))
        self.simulation.call(self.run, ask, self.ended)

    def ended(self, call: ServedCall) -> None:
        ask = call.ask
        self.samples.append(
            Sample(
                call.workflow,
                self.unit,
                call.start,
                call.latency,
                ask.output_tokens,
                ask.prompt_tokens,
            )
        )
        self.left -= 1
        self.burst += not self.left
        if self.left or self.burst == len(self.arrival.chain):
            return
        gap = self.arrival.chain[self.burst].start - self.arrival.chain[self.burst - 1].end
        due = self.simulation.events.now + max(0.0, gap)
        if due < self.seconds:
            self.simulation.events.at(due, self.start, None)


def played(plan: Plan, stream: Stream, rate: float, seconds: float, seed: str) -> Round:
    """One round of whole runs."""
    simulation = deployment(plan)
    if isinstance(simulation, Infeasible):
        raise SystemExit(simulation.reason)
    spec = next(llm for llm in plan.llms if llm.name == LLM)
    blocks = prompt_blocks(
        [c for runs in stream.runs.values() for run in runs for b in run for c in b.calls]
    )
    rng, samples = random.Random(seed), list[Sample]()
    drawn = schedule(stream, rate, seconds, whole=True, gaps="poisson", rng=rng)
    for unit, arrival in enumerate(drawn):
        sender = Sender(simulation, spec, blocks, arrival, unit, seconds, samples)
        simulation.events.at(arrival.at, sender.start, None)
    simulation.events.run()
    return Round(
        key="", kind="runs", rate=rate, number=0, seconds=seconds, wall=0.0, samples=tuple(samples)
    )


def of(name: str, rounds: Sequence[Round]) -> tuple[float, float, float]:
    """Mean latency of a workflow's calls, rate offered, load that they saw."""
    own = [(one, [s for s in one.after(WARMUP) if s.workflow == name]) for one in rounds]
    found = [(one, samples, len(samples)) for one, samples in own if samples]
    calls = sum(count for *_, count in found)
    return (
        sum(sample.latency for _, samples, _ in found for sample in samples) / calls,
        sum(count * len(one.samples) / one.seconds for one, _, count in found) / calls,
        sum(count * one.load_seen(samples) for one, samples, count in found) / calls,
    )


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
    plan, traces = read_plan(where / "plan.json"), read_traces(where / "traces").traces
    stream = Stream(
        {t.workflow: bursts_of([x for x in traces if x.workflow == t.workflow], LLM)
         for t in plan.targets},
        {target.workflow: target.rate for target in plan.targets},
    )  # fmt: skip
    total = sum(stream.rates.values()) * stream.chain_calls(whole=True)
    long = [played(plan, stream, load * total, LONG, "long") for load in GRID]
    true = {name: np.array([of(name, [one]) for one in long]).T for name in stream.runs}
    print(f"calls of {LLM!r}: short rounds over a long one, at the rate offered and the load seen")
    for load in LOADS:
        short = [played(plan, stream, load * total, SHORT, str(seed)) for seed in range(ROUNDS)]
        for name, (latency, rate, _) in true.items():
            mean, offered, seen = of(name, short)
            errors = [mean / np.interp(at, rate, latency) - 1 for at in (offered, seen)]
            print(f"load {load:.1f}  {name:12s} {mean:.3f} s  {errors[0]:+.1%}  {errors[1]:+.1%}")


if __name__ == "__main__":
    main()
