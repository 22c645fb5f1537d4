"""The status of a deployment on Ray."""

from __future__ import annotations

import asyncio

from scepsy.core.plan import size_name
from scepsy.deploy.ray.nodes import alive
from scepsy.deploy.ray.records import KnownReplica, ProcessReport
from scepsy.deploy.ray.runtime import RayRuntime
from scepsy.deploy.status import ReplicaStatus, State, Status


async def status_of(runtime: RayRuntime) -> Status:
    """Every replica as its actor reports it, and the gateway's counts. Replicas on dead nodes are
    dead. Raises Unreachable.
    """
    current = runtime.stored.current
    living = alive(await runtime.api.nodes()).keys()
    told = await runtime.gateway.counts()
    counts = {} if told is None else {one.replica: one for one in told.replicas}
    front = await runtime.gateway.report()
    reports = await asyncio.gather(*(runtime.report(one) for one in current.replicas))
    replicas: list[ReplicaStatus] = []
    for one, report in zip(current.replicas, reports, strict=True):
        count, on = counts.get(one.name), one.nodes <= living
        replicas.append(
            ReplicaStatus(
                replica=one.name,
                llm=one.replica.llm,
                size=size_name(one.replica.tp, one.replica.gpu_share),
                gpus=tuple(f"{part.node}/{part.gpu}" for part in one.replica.slices),
                state=_state(one, report) if on else "dead",
                url="" if report is None else report.url,
                node=one.replica.slices[0].node,
                epoch=one.epoch,
                restarts=0 if report is None else report.restarts,
                last_words=_last_words(report) if on else "its node is dead",
                in_flight=None if count is None else count.in_flight,
                served=None if count is None else count.served,
                failed=None if count is None else count.failed,
            )
        )
    return Status(
        name=current.name,
        gateway=front.state if current.port else "starting",
        url=front.url,
        replicas=tuple(replicas),
        epoch=current.epoch,
        notes=current.notes,
    )


def _state(one: KnownReplica, report: ProcessReport | None) -> State:
    if report is None:
        return "unhealthy"
    if report.state == "ready" and one.phase in ("draining", "drained"):
        return "draining"
    return report.state


def _last_words(report: ProcessReport | None) -> str:
    if report is None:
        return "its actor does not answer"
    return report.last_words if report.state in ("dead", "failed", "unhealthy") else ""
