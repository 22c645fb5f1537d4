"""Workflows that are programs: generators in simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Union

from scepsy.errors import BadInput
from scepsy.sim.cluster.simulation import Ask, Simulation

EFFECTS_MAX = 100_000
"""Calls and waits of one run; a run that makes more is taken for an endless loop."""

Effect = Union[Ask, float, "Steps", Sequence["Effect"]]
Steps = Generator[Effect, Any, Any]
"""Yields an `Ask`, and receives its `ServedCall`; or a number of seconds, which pass; or a sequence
of these and of other such generators, which run side by side until all have ended, and receives the
list of their results.
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A workflow whose runs are `steps(rng)`. What a run does may depend on chance and on the
    durations of its calls.

    Raises BadInput for a run that has not ended after `EFFECTS_MAX` calls and waits.
    """

    workflow: str
    steps: Callable[[random.Random], Steps]
    seed: int = 0

    def begin(self, simulation: Simulation, run: int) -> None:
        rng = random.Random(f"{self.seed}/{self.workflow}/{run}")
        left = _Left(self.workflow, run)
        _Task(simulation, left, self.steps(rng), lambda _: simulation.end_run(run)).resume(None)


@dataclass(slots=True)
class _Left:
    """The number of calls and waits that a run may still make."""

    workflow: str
    run: int
    effects: int = EFFECTS_MAX

    def use(self) -> None:
        self.effects -= 1
        if self.effects < 0:
            raise BadInput(
                f"run {self.run} of {self.workflow!r} has made {EFFECTS_MAX} calls and waits "
                "and has not ended: give its loop an end"
            )


@dataclass(slots=True)
class _Task:
    simulation: Simulation
    left: _Left
    steps: Steps
    done: Callable[[object], None]

    def resume(self, value: object) -> None:
        try:
            effect = self.steps.send(value)
        except StopIteration as stop:
            self.done(stop.value)
            return
        self._start(effect, self.resume)

    def _start(self, effect: Effect, then: Callable[[object], None]) -> None:
        self.left.use()
        events = self.simulation.events
        match effect:
            case Ask():
                self.simulation.call(self.left.run, effect, then)
            case float() | int():
                events.at(events.now + effect, then, None)
            case Generator():
                task = _Task(self.simulation, self.left, effect, then)
                events.at(events.now, task.resume, None)
            case Sequence():
                self._gather(effect, then)
            case _:
                raise TypeError(f"a workflow yielded {effect!r}")

    def _gather(self, effects: Sequence[Effect], then: Callable[[object], None]) -> None:
        if not effects:
            events = self.simulation.events
            events.at(events.now, then, list[object]())
            return
        results: list[object] = [None] * len(effects)
        left = len(effects)

        def ended(index: int, result: object) -> None:
            nonlocal left
            results[index] = result
            left -= 1
            if not left:
                then(results)

        for index, effect in enumerate(effects):
            self._start(effect, partial(ended, index))
