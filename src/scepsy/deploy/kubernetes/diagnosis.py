"""Why an engine does not become ready (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scepsy.deploy.kubernetes.fields import items, part
from scepsy.deploy.kubernetes.observing import RESTARTS_MOST, last_words, restarts

Json = dict[str, Any]

_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_NO_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps an engine from becoming ready.

    Attributes:
        text: a sentence with what to do about it.
        final: whether it does not pass by itself; other troubles are given some time.
    """

    text: str
    final: bool = False


def trouble(workload: Json, pods: Sequence[Json], events: Sequence[Json]) -> Trouble | None:
    """The first reason that is found; None where it may just take its time. `events` are those of
    the workload.
    """
    pod = next((one for one in pods if "deletionTimestamp" not in one["metadata"]), None)
    return _not_created(workload, events) if pod is None else _in_pod(pod)


def _not_created(workload: Json, events: Sequence[Json]) -> Trouble | None:
    conditions = items(workload, "status", "conditions")
    said = [one["message"] for one in conditions if one["type"] == "ReplicaFailure"]
    said += [one["message"] for one in events if one.get("reason") == "FailedCreate"]
    if not said:
        return None
    if "exceeded quota" in said[-1]:
        return Trouble(
            f"a ResourceQuota of the namespace does not allow its pod: {said[-1]}; ask for more, "
            "or make a plan for fewer GPUs"
        )
    return Trouble(f"its pod cannot be made: {said[-1]}")


def _in_pod(pod: Json) -> Trouble | None:
    name = pod["metadata"]["name"]
    for one in items(pod, "status", "conditions"):
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return Trouble(
                f"no node can take pod {name}: {one.get('message', '')} Compare the plan's cluster "
                "with `kubectl describe nodes`: a node may be gone, or others use its GPUs"
            )
    statuses = items(pod, "status", "initContainerStatuses")
    for one in [*statuses, *items(pod, "status", "containerStatuses")]:
        waiting = part(one, "state", "waiting")
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _NO_IMAGE:
            return Trouble(
                f"pod {name} cannot get the image {one['image']}: {reason}: {message}; check its "
                "name and the pull secret (--image, --pull-secret)"
            )
        if reason in _NO_CONTAINER:
            return Trouble(f"pod {name}: {reason}: {message}")
    if restarts(pod) >= RESTARTS_MOST:
        return Trouble(
            f"pod {name} ends again and again ({restarts(pod)} restarts); the end of its log:\n  "
            + last_words(pod).replace("\n", "\n  "),
            final=True,
        )
    return None
