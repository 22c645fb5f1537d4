"""The phases of the demo, in their order."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.curves.jobs import jobs
from scepsy.demo.manual_plans import even_split, one_of_each
from scepsy.demo.outputs import claim
from scepsy.demo.settings import DemoProgram, DemoSettings
from scepsy.demo.summary import Outcome, curves, llm_summaries, workflow_summaries
from scepsy.deploy import LocalBackend
from scepsy.drive import DriveResult
from scepsy.drive.children import trace_children
from scepsy.drive.inputs import read_lines
from scepsy.engines import EngineOptions, engine_for
from scepsy.errors import NotFound, RunsFailed, Unmeetable
from scepsy.planning.planner import plan
from scepsy.planning.simulation import SimulationOptions
from scepsy.predict import Pipeline, responses
from scepsy.predict.headroom import headroom
from scepsy.profiler import Job, ProfileSetup, RoundLog, profile
from scepsy.report.data import Report, Summary
from scepsy.report.html import render
from scepsy.store import read_cluster, read_llms, read_traces, write_atomic, write_record

OnPhase = Callable[[str], None]
DEPLOYMENT = "demo"
PREPARATION = "preparation"


@dataclass(frozen=True, slots=True)
class PhaseListener:
    """Callbacks: `phase` when a phase begins, `profiling` with the progress of an engine's profile,
    `traced` and `planned` with the results of these phases.
    """

    phase: OnPhase
    profiling: Callable[[Job, str, float], None]
    traced: Callable[[Sequence[Trace]], None]
    planned: Callable[[Plan], None]


async def run(settings: DemoSettings, listener: PhaseListener) -> Report:
    """Traces, profiles, plans and measures, and writes `traces/`, `profile.json`, `plan.json`,
    `summary.json` and `report.html` into `settings.out`. However it ends, also by cancellation, it
    leaves no process behind.

    Raises:
        Unmeetable: no plan meets the target rates.
        RunsFailed: a program failed.
    """
    begun = time.monotonic()
    cluster, llms = read_cluster(settings.cluster), read_llms(settings.llms)
    targets = tuple(Target(workflow=one.workflow, rate=one.rate) for one in settings.programs)
    even = even_split(llms, cluster, targets)
    claim(settings.out)
    # No supervisor: it would take time from what is measured.
    backend = LocalBackend(settings.out / "state", _options(settings), restarts=None)
    stage = Phase(settings, listener, backend)
    try:
        traces = await stage.trace(one_of_each(llms, cluster, targets))
        measured = await stage.profile(traces, llms, cluster)
        decided = stage.plan(traces, measured, llms, cluster, targets)
        full, beyond = await stage.measure(decided, "the plan", (1.0, settings.beyond))
        (even_full,) = await stage.measure(even, "an even split", (1.0,))
    finally:
        await stage.clear()
    pipeline = Pipeline(decided.demands, decided.targets, responses(measured.curves))
    outcome = Outcome(decided, even, pipeline, full, beyond, even_full)
    summary = Summary(
        workflows=workflow_summaries(outcome),
        llms=llm_summaries(outcome),
        seed=settings.seed,
        seconds=time.monotonic() - begun,
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        time_scale=settings.time_scale,
        engines=", ".join(
            sorted({f"{llm.engine} {engine_for(llm.engine).version()}" for llm in llms})
        ),
        headroom=headroom(decided.prediction).factor,
    )
    report = Report(
        summary=summary, plan=decided, even_split=even, profile=measured, curves=curves(outcome)
    )
    write_record(settings.out / "summary.json", summary)
    write_atomic(settings.out / "report.html", render(report).encode())
    return report


def _options(settings: DemoSettings) -> EngineOptions:
    return EngineOptions(seed=settings.seed, time_scale=settings.time_scale, exit_with_parent=True)


@dataclass(frozen=True, slots=True)
class Phase:
    """The phases and what they share."""

    settings: DemoSettings
    listener: PhaseListener
    backend: LocalBackend

    async def trace(self, first: Plan) -> tuple[Trace, ...]:
        """Runs the unmodified programs through the gateway, and reads what it recorded.

        All runs are those of one process, as in a server. A process for each run would load its
        libraries again in every run, between the calls: time that the runs which are measured
        later do not take.
        """
        directory, settings = self.settings.out / "traces", self.settings
        seconds = settings.duration / settings.trace_load
        self.listener.phase(
            f"trace: the unmodified programs through the gateway, for {seconds:.0f} s"
        )
        deployed = await self.backend.apply(first, name=DEPLOYMENT, traces=directory)
        url = deployed.url
        for program in settings.programs:
            if program.prepare:
                await self._prepare(program, url)
        driven = await self._drive(url, settings.trace_load, seconds)
        await self.backend.down(DEPLOYMENT)
        runs = {run.run for workflow in driven.workflows for run in workflow.runs}
        errors = [run.error for workflow in driven.workflows for run in workflow.runs if run.error]
        if errors:
            raise RunsFailed(f"{len(errors)} of {len(runs)} traced runs failed: {errors[0]}")
        recorded = read_traces(directory)
        for warning in recorded.warnings:
            self.listener.phase(f"warning: {warning}")
        traces = tuple(one for one in recorded.traces if one.run in runs)
        self.listener.traced(traces)
        return traces

    async def _prepare(self, program: DemoProgram, url: str) -> None:
        variables = (f"{name}={value}" for name, value in self._variables().items())
        command = ("env", *variables, sys.executable, str(program.script), *program.prepare)
        (result,) = await trace_children(
            command, gateway_url=url, workflow=PREPARATION, inputs=None
        )
        if result.exit_code != 0:
            raise RunsFailed(f"{' '.join(command)}: {result.stderr_tail}")

    def _inputs(self, program: DemoProgram) -> list[str]:
        """The inputs of both tracing and driving. Each occurs once in the measured window, so that
        what is measured is what was traced.
        """
        return read_lines(program.inputs)[: round(program.rate * self.settings.duration)]

    def _variables(self) -> dict[str, str]:
        """What the programs find in their environment: their caches lie in the demo's folder, so
        that a demo begins without any and leaves none behind.
        """
        return {"XDG_CACHE_HOME": str((self.settings.out / "state" / "cache").resolve())}

    async def profile(
        self, traces: Sequence[Trace], llms: Sequence[LlmSpec], cluster: Cluster
    ) -> Profile:
        """Replays the traced calls on every engine configuration: LLM, TP degree, GPU share."""
        todo = jobs(traces, llms, cluster, self.settings.shares)
        self.listener.phase(
            f"profile: {len(todo)} engine configurations, by replay of the traced calls"
        )
        state = self.settings.out / "state" / "profile"
        setup = ProfileSetup(
            traces,
            cluster,
            self.settings.sweep,
            self.backend.options,
            state,
            self.backend.root,
            self.listener.profiling,
            {program.workflow: program.rate for program in self.settings.programs},
        )
        with RoundLog(state / "rounds.jsonl") as journal:
            parallel = self.settings.profile_parallel
            measured = await profile(todo, setup, journal, parallel=parallel)
        write_record(self.settings.out / "profile.json", measured)
        return measured

    def plan(
        self,
        traces: Sequence[Trace],
        measured: Profile,
        llms: Sequence[LlmSpec],
        cluster: Cluster,
        targets: Sequence[Target],
    ) -> Plan:
        """Plans for the targets. Raises Unmeetable where no plan meets them."""
        self.listener.phase("plan: shares x TP x replicas, and where")
        decided = plan(traces, measured, llms, cluster, targets, simulate=SimulationOptions())
        if isinstance(decided, Infeasible):
            raise Unmeetable(f"no plan meets the targets ({decided.binding}): {decided.reason}")
        write_record(self.settings.out / "plan.json", decided)
        self.listener.planned(decided)
        return decided

    async def measure(self, decided: Plan, what: str, loads: Sequence[float]) -> list[DriveResult]:
        """Deploys, and drives at each load. A load is a factor on the target rates."""
        self.listener.phase(
            f"deploy {what}: {len(decided.placement.replicas)} replicas and a gateway"
        )
        deployed = await self.backend.apply(decided, name=DEPLOYMENT)
        results: list[DriveResult] = []
        for load in loads:
            at_target = load <= 1
            seconds = self.settings.duration if at_target else self.settings.beyond_duration
            self.listener.phase(f"drive {what}: {load:.0%} of the target rates for {seconds:.0f} s")
            results.append(await self._drive(deployed.url, load, seconds))
        await self.backend.down(DEPLOYMENT)
        return results

    async def _drive(self, url: str, load: float, seconds: float) -> DriveResult:
        """Runs `scepsy drive` as a process of its own."""
        arguments = [program.function for program in self.settings.programs]
        for program in self.settings.programs:
            inputs = self.settings.out / "state" / f"{program.workflow}.txt"
            write_atomic(inputs, "\n".join(self._inputs(program)).encode())
            arguments += ["--rate", str(program.rate * load), "--inputs", str(inputs)]
        arguments += ["--gateway", url, "--duration", str(seconds), "--json"]
        arguments += ["--warmup", str(self.settings.warmup), "--seed", str(self.settings.seed)]
        # There it finds the gateway's admin address, which tells the engines to read.
        arguments += ["--state", str(self.settings.out / "state")]
        driver = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scepsy", "drive", *arguments,
            env={**os.environ, **self._variables()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await driver.communicate()
        except asyncio.CancelledError:
            driver.kill()
            await driver.wait()
            raise
        # Some runs failed: that is a result too, and the report shows how many.
        if driver.returncode not in (0, RunsFailed.exit_code):
            raise RunsFailed(f"the driver failed: {err.decode(errors='replace').strip()}")
        return msgspec.json.decode(out, type=DriveResult)

    async def clear(self) -> None:
        """Stops what still runs, and removes logs and state."""
        try:
            with suppress(NotFound):
                await self.backend.down(DEPLOYMENT)
        finally:
            shutil.rmtree(self.settings.out / "state", ignore_errors=True)
