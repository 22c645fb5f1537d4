"""The status of a deployment, from what was read of its cluster (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scepsy.core.plan import size_name
from scepsy.deploy.gateway_client import CallCounts, GatewayCounts
from scepsy.deploy.kubernetes.deployment_state import ClusterDeployment
from scepsy.deploy.kubernetes.diagnosis import trouble
from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.objects.options import PORT
from scepsy.deploy.kubernetes.observing import (
    RESTARTS_MOST,
    ClusterView,
    Seen,
    is_ready,
    last_words,
    restarts,
)
from scepsy.deploy.status import ReplicaStatus, State, Status

Json = dict[str, Any]


def status_of(
    name: str,
    state: ClusterDeployment,
    view: ClusterView,
    gateways: Sequence[Json],
    counts: Mapping[str, GatewayCounts],
    url: str,
    silent: Collection[str] = (),
) -> Status:
    """`gateways` are the gateway's pods, and `counts` what each of them counts. The engines of the
    replicas in `silent` do not answer.
    """
    calls = _summed([one for told in counts.values() for one in told.replicas])
    notes: list[str] = []
    if not state.settled:
        notes.append("a change was interrupted; `scepsy deploy` the plan again to finish it")
    running = {one.replica.replica for one in view.seen}
    gone = [one.replica for one in state.plan.placement.replicas if one.replica not in running]
    if gone and state.settled:
        notes.append(f"no workload of {', '.join(gone)} is left; deploy the plan again")
    notes += (f"node {node} does not answer" for node in sorted(view.lost))
    for one in view.seen:
        found = trouble(one.workload or {}, one.pods, ()) if not one.ready else None
        if found is not None and not found.final:
            notes.append(f"{one.replica.replica}: {found.text}")
    return Status(
        name=name,
        gateway=_gateway(gateways),
        url=url,
        replicas=tuple(
            _replica(one, _state(one, view, silent), calls.get(one.replica.replica))
            for one in view.seen
        ),
        epoch=state.epoch,
        notes=tuple(notes),
    )


def _gateway(pods: Sequence[Json]) -> State:
    if any(map(is_ready, pods)):
        return "ready"
    if any(restarts(one) >= RESTARTS_MOST for one in pods):
        return "failed"
    return "starting" if pods else "dead"


def _replica(one: Seen, state: State, calls: CallCounts | None) -> ReplicaStatus:
    replica = one.replica
    address = part(one.pod, "status").get("podIP")
    return ReplicaStatus(
        replica=replica.replica,
        llm=replica.llm,
        size=size_name(replica.tp, replica.gpu_share),
        gpus=tuple(f"{part.node}/{part.gpu}" for part in replica.slices),
        state=state,
        url=f"http://{address}:{PORT}" if address else "",
        node=str(part(one.pod, "spec").get("nodeName", "")),
        epoch=one.epoch,
        restarts=restarts(one.pod),
        last_words="" if state in ("ready", "draining") else last_words(one.pod),
        in_flight=None if calls is None else calls.in_flight,
        served=None if calls is None else calls.served,
        failed=None if calls is None else calls.failed,
    )


def _state(one: Seen, view: ClusterView, silent: Collection[str]) -> State:
    routed = {each.route.replica for each in view.table.replicas}
    if one.workload is None or view.is_lost(one):
        return "dead"
    if one.replica.replica in silent:
        return "unhealthy"
    if one.ready:
        return "ready" if one.replica.replica in routed else "draining"
    if restarts(one.pod) >= RESTARTS_MOST:
        return "failed"
    return "dead" if restarts(one.pod) else "starting"


def _summed(counts: Sequence[CallCounts]) -> dict[str, CallCounts]:
    found: dict[str, CallCounts] = {}
    for one in counts:
        other = found.get(one.replica)
        found[one.replica] = (
            one
            if other is None
            else CallCounts(
                replica=one.replica,
                in_flight=one.in_flight + other.in_flight,
                served=one.served + other.served,
                failed=one.failed + other.failed,
                routed=one.routed or other.routed,
            )
        )
    return found
