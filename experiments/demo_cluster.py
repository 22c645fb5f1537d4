"""A Ray cluster of four machines on this one serves the demo; one machine loses its power.

    make demo-cluster

The machines are network, PID and mount namespaces with real Ray processes; GPUs are emulated. The
plan is made for three nodes, so that it fits again after one of four is lost. The report is
out/demo-cluster/report.html.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Plan, Target
from scepsy.demo.manual_plans import one_of_each
from scepsy.demo.run import Phase, PhaseListener
from scepsy.demo.settings import DemoSettings, quick_settings, settings_for
from scepsy.deploy import LocalBackend
from scepsy.deploy.ray.backend import RayBackend
from scepsy.deploy.ray.connection import disconnect
from scepsy.drive import DriveResult
from scepsy.engines import EngineOptions
from scepsy.report.outage import headline, render, sentences
from scepsy.report.outage_data import Outage, SeenCall, SeenRun
from scepsy.store import read_llms, read_traces, write_atomic, write_record
from scepsy.testing.machines import why_impossible
from scepsy.testing.ray_cluster import RayCluster

ROOT = Path(__file__).resolve().parents[1]
GPUS = 2
"""GPUs of each node."""

NAMES = ("w1", "w2", "w3", "w4")
LOAD = 50.0
"""Seconds of load."""

LOST_AT = 15.0
"""Seconds after the load's beginning at which a node loses its power."""


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def cluster_of(names: tuple[str, ...]) -> Cluster:
    return Cluster(nodes=tuple(Node(name=name, gpus=GPUS) for name in names))


async def planned(settings: DemoSettings) -> Plan:
    """Traces, profiles and plans on this machine, as `scepsy demo` does."""
    # In a group of two GPUs a replica fills a node, and the plan may have only one of its LLM: then
    # no call could go elsewhere when its node is lost.
    llms = tuple(msgspec.structs.replace(one, max_tp=1) for one in read_llms(settings.llms))
    targets = tuple(Target(workflow=one.workflow, rate=one.rate) for one in settings.programs)
    cluster = cluster_of(NAMES[:-1])
    options = EngineOptions(
        seed=settings.seed, time_scale=settings.time_scale, exit_with_parent=True
    )
    listener = PhaseListener(say, lambda *_: None, lambda _: None, lambda _: None)
    phase = Phase(settings, listener, LocalBackend(settings.out / "state", options))
    try:
        traces = await phase.trace(one_of_each(llms, cluster, targets))
        measured = await phase.profile(traces, llms, cluster)
        plan = phase.plan(traces, measured, llms, cluster, targets)
    finally:
        await phase.clear()
    return msgspec.structs.replace(plan, cluster=cluster_of(NAMES), time_scale=settings.time_scale)


def node_to_lose(plan: Plan) -> str:
    """The node in use whose loss leaves the most LLMs with a replica; the busiest of several."""

    def cost(node: str) -> tuple[int, int]:
        there = [one for one in plan.placement.replicas if one.slices[0].node == node]
        left = {one.llm for one in plan.placement.replicas if one.slices[0].node != node}
        return len({one.llm for one in there} - left), -len(there)

    used = {one.slices[0].node for one in plan.placement.replicas}
    return min(sorted(used), key=cost)


async def driven(machines: RayCluster, settings: DemoSettings, url: str) -> DriveResult:
    """Loads the deployment's workflows from the head machine, at their target rates."""
    arguments = [program.function for program in settings.programs]
    for program in settings.programs:
        arguments += ["--rate", str(program.rate), "--inputs", str(program.inputs)]
    arguments += ["--gateway", url, "--duration", str(LOAD), "--warmup", "0", "--json"]
    driver = await asyncio.create_subprocess_exec(
        *machines.head.entering(), sys.executable, "-m", "scepsy", "drive", *arguments,
        env={**os.environ, "XDG_CACHE_HOME": str(settings.out.resolve() / "state" / "cache")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await driver.communicate()
    if not out:
        raise SystemExit(f"the driver failed: {err.decode()}")
    return msgspec.json.decode(out, type=DriveResult)


async def outage(machines: RayCluster, plan: Plan, settings: DemoSettings, begun: float) -> Outage:
    """Deploys the plan, loads it, and takes a node away."""
    backend = RayBackend(machines.address, EngineOptions(time_scale=plan.time_scale))
    traces = machines.head.folder / "traces"
    deployed = await backend.apply(plan, traces=machines.head.seen_at / "traces", on_progress=say)
    node = node_to_lose(plan)
    local = f"http://127.0.0.1:{deployed.url.rpartition(':')[2]}"
    load = asyncio.create_task(driven(machines, settings, local))
    started = time.time()
    await asyncio.sleep(LOST_AT)
    lost_at = time.time() - started
    say(f"{node} loses its power")
    machines[node].power_off()
    served_at = None
    while not load.done():
        status = await backend.status()
        if served_at is None and status.epoch > deployed.epoch and status.healthy:
            served_at = time.time() - started
            say(f"every replica serves again, {served_at - lost_at:.1f} s later")
        await asyncio.sleep(0.25)
    result = await load
    after = await backend.plan()
    await backend.down(grace=10)
    places = {one.replica: one.slices[0].node for one in plan.placement.replicas}
    moved = {one.replica: one.slices[0].node for one in after.placement.replicas}
    alive = {one.llm for one in plan.placement.replicas if places[one.replica] != node}
    found = read_traces(traces)
    calls = [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]
    starts = {trace.run: trace.start for trace in found.traces}
    return Outage(
        node=node,
        lost_at=lost_at,
        served_at=served_at,
        seconds=max(LOAD, *(call.end - started for call in calls)),
        before=plan,
        after=after,
        calls=tuple(
            SeenCall(
                llm=call.llm,
                node=_node(call.replica, call.end - started < lost_at, places, moved),
                start=call.start - started,
                end=call.end - started,
                attempts=call.attempts,
                error=call.error,
                servable=call.llm in alive,
            )
            for call in sorted(calls, key=lambda one: one.start)
        ),
        runs=tuple(
            SeenRun(
                workflow=flow.workflow,
                start=starts.get(run.run, started + run.arrival) - started,
                latency=run.latency,
                error=run.error,
            )
            for flow in result.workflows
            for run in flow.runs
        ),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        took=time.monotonic() - begun,
    )


def _node(replica: str | None, early: bool, before: dict[str, str], after: dict[str, str]) -> str:
    """Where a replica was when a call ended."""
    name = replica or ""
    return before.get(name, "") if early else after.get(name, before.get(name, ""))


async def main(out: Path, seed: int) -> None:
    begun = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    settings = quick_settings(settings_for("emulated", ROOT, out, seed))
    settings = replace(settings, time_scale=4.0, duration=20.0, trace_load=1.0)
    plan = await planned(settings)
    say(f"start Ray on {len(NAMES) + 1} machines: a head and {', '.join(NAMES)}")
    with RayCluster(plan.cluster) as machines:
        os.environ.update(machines.env)
        try:
            seen = await outage(machines, plan, settings, begun)
        finally:
            disconnect()
    shutil.rmtree(out / "state", ignore_errors=True)
    write_record(out / "outage.json", seen)
    write_atomic(out / "report.html", render(seen).encode())
    print()
    print(headline(seen))
    for sentence in sentences(seen):
        print(f"- {sentence}")
    print(f"\nreport: {out / 'report.html'}")
    if seen.lost:
        raise SystemExit("calls were lost that another replica could have served")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/demo-cluster"))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if (reason := why_impossible()) is not None:
        raise SystemExit(f"machines cannot be made here: {reason}")
    asyncio.run(main(chosen.out, chosen.seed))
