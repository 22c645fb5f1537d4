"""Asks the processes of a deployment for their state."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from scepsy.core.plan import size_name
from scepsy.deploy.gateway_client import CallCounts, GatewayCounts, counts
from scepsy.deploy.local.gateway_process import gateway_access
from scepsy.deploy.local.health import Health, health
from scepsy.deploy.local.logs import tail
from scepsy.deploy.local.restart_log import GATEWAY, RestartLog, read_restarts
from scepsy.deploy.local.state import Deployment, RunningReplica
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.deploy.local.supervisor_process import supervised
from scepsy.deploy.status import ReplicaStatus, State, Status
from scepsy.errors import Unreachable


async def observe(files: StateDirectory, deployment: Deployment, *, expects: bool) -> Status:
    """The state of the gateway and of every replica: whether the process runs, whether it answers a
    health check, the gateway's counts of calls, and what the supervisor has restarted. A note says
    that no supervisor runs where one is expected (`expects`).
    """
    gateway = deployment.gateway
    told = await _counts(files, deployment)
    replicas = sorted(deployment.replicas, key=lambda one: one.name)
    found = await asyncio.gather(*(health(one.pid, one.born, one.url) for one in replicas))
    front: State = "dead"
    if gateway is not None:
        well = await health(gateway.pid, gateway.born, gateway.url)
        front = "unhealthy" if well == "silent" else well
    log = read_restarts(files.restarts(deployment.name))
    if front == "dead" and log.of(GATEWAY).given_up:
        front = "failed"
    return Status(
        name=deployment.name,
        gateway=front,
        url="" if gateway is None else gateway.url,
        replicas=tuple(
            _replica_status(one, well, told, log) for one, well in zip(replicas, found, strict=True)
        ),
        epoch=deployment.epoch,
        notes=tuple(_notes(files, deployment, log, expects=expects)),
    )


def _notes(
    files: StateDirectory, deployment: Deployment, log: RestartLog, *, expects: bool
) -> Iterator[str]:
    holder = files.holder(deployment.name)
    changing = holder is not None and holder.role == "command"
    if changing:
        yield "a command is changing this deployment now"
    elif not deployment.settled:
        yield "a change was interrupted; `scepsy deploy` with the wanted plan finishes it"
    if expects and not changing and not supervised(deployment):
        yield (
            "no supervisor runs, so that nothing is restarted; `scepsy deploy` with the same plan "
            "starts one"
        )
    for one in log.histories:
        if one.given_up:
            yield (
                f"{one.name} failed {len(one.failures)} times in a row and is not restarted any "
                "more; `scepsy deploy` tries again"
            )


async def _counts(files: StateDirectory, deployment: Deployment) -> GatewayCounts | None:
    access = gateway_access(files, deployment)
    if access is None:
        return None
    try:
        return await counts(access, within=5.0)
    except Unreachable:
        return None


def _replica_status(
    one: RunningReplica, well: Health, told: GatewayCounts | None, log: RestartLog
) -> ReplicaStatus:
    replica, history = one.replica, log.of(one.name)
    calls = _summed(one.name, told)
    state = _state(one, well, given_up=history.given_up)
    last_words = ""
    if state in ("dead", "failed", "unhealthy"):
        last_words = tail(Path(one.log)) or history.last_words
    return ReplicaStatus(
        replica=one.name,
        llm=replica.llm,
        size=size_name(replica.tp, replica.gpu_share),
        gpus=tuple(f"{part.node}/{part.gpu}" for part in replica.slices),
        state=state,
        url=one.url,
        node=replica.slices[0].node,
        epoch=one.epoch,
        restarts=history.restarts,
        last_words=last_words,
        pid=one.pid,
        in_flight=None if calls is None else calls.in_flight,
        served=None if calls is None else calls.served,
        failed=None if calls is None else calls.failed,
    )


def _state(one: RunningReplica, well: Health, *, given_up: bool) -> State:
    if well == "dead":
        return "failed" if given_up else "dead"
    if one.phase in ("draining", "drained"):
        return "draining"
    if well == "silent":
        return "starting" if one.phase == "starting" else "unhealthy"
    return "ready"


def _summed(name: str, told: GatewayCounts | None) -> CallCounts | None:
    """The replica's counts, under its present and its earlier address together."""
    found = () if told is None else [one for one in told.replicas if one.replica == name]
    if not found:
        return None
    return CallCounts(
        replica=name,
        in_flight=sum(one.in_flight for one in found),
        served=sum(one.served for one in found),
        failed=sum(one.failed for one in found),
    )
