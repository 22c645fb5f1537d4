"""The workload of one replica, with what Scepsy has to find in it again (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from scepsy.core.plan import Placement, Plan, Replica
from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.objects import NotCarried, Rendered, RenderOptions, render
from scepsy.deploy.kubernetes.objects.options import LaunchIn, Object
from scepsy.errors import BadInput

PLACED = "scepsy/placed"
"""The annotation with the replica, as JSON, of workloads and pods."""

RENDERED = "scepsy/rendered"
"""The annotation with a digest of the workload's specification."""


def rendered(plan: Plan, launch_in: LaunchIn, options: RenderOptions) -> Rendered:
    """The objects of a plan. Raises BadInput where they cannot carry it."""
    found = render(plan, launch_in, options)
    if isinstance(found, NotCarried):
        raise BadInput(f"--gpu {options.gpu} cannot carry this plan. {' '.join(found.reasons)}")
    return found


def workload_of(
    plan: Plan, replica: Replica, launch_in: LaunchIn, options: RenderOptions
) -> Object:
    """The workload of one replica, which need not be one of the plan's, but is of an LLM of it.
    Raises BadInput as `rendered` does.
    """
    alone = msgspec.structs.replace(plan, placement=Placement(replicas=(replica,)))
    found = rendered(alone, launch_in, options).replicas[replica.replica]
    digest = digest_of(found)
    own = {PLACED: msgspec.json.encode(replica).decode()}
    template = found["spec"]["template"]
    spec = {**found["spec"], "template": {**template, "metadata": _noted(template, own)}}
    return {**found, "metadata": _noted(found, {**own, RENDERED: digest}), "spec": spec}


def digest_of(workload: Object) -> str:
    """A digest of everything that a workload is started with."""
    text = msgspec.json.encode(workload["spec"], order="deterministic")
    return hashlib.sha256(text).hexdigest()[:16]


def replica_of(found: Mapping[str, Any]) -> Replica | None:
    """The replica of a workload or pod; None where it has none of ours."""
    text: str | None = part(found, "metadata", "annotations").get(PLACED)
    try:
        return None if text is None else msgspec.json.decode(text, type=Replica)
    except msgspec.MsgspecError:
        return None


def _noted(found: Object, notes: dict[str, str]) -> Object:
    meta = found["metadata"]
    return {**meta, "annotations": {**meta.get("annotations", {}), **notes}}
