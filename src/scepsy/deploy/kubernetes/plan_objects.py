"""Every object of a deployment."""

from __future__ import annotations

from scepsy.deploy.kubernetes.api import Json
from scepsy.deploy.kubernetes.deployment_state import ClusterDeployment, packed, state_name
from scepsy.deploy.kubernetes.gateway_objects import gateway_objects
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import check, labels
from scepsy.deploy.kubernetes.placed import rendered
from scepsy.deploy.kubernetes.runtime import KubernetesRuntime
from scepsy.deploy.kubernetes.writing import MANAGED_BY
from scepsy.errors import BadInput


def shared_objects(state: ClusterDeployment) -> tuple[Json, ...]:
    """The objects that are no replica's, in the order in which to apply them: first the one with
    the state. Raises BadInput where no objects can carry the plan.
    """
    launch_in = container_launches(state.plan, python=state.python, seed=state.seed)
    found = rendered(state.plan, launch_in, state.options)
    problems = check(found.objects)
    if problems:
        raise BadInput(f"the objects would be refused: {problems[0]}")
    return (state_object(state), *found.shared, *gateway_objects(state.options, state.port))


def all_objects(runtime: KubernetesRuntime) -> list[Json]:
    """Those, and the workloads of all replicas. Raises BadInput where the server lacks an API that
    they need.
    """
    state = runtime.state
    every = [*shared_objects(state), *map(runtime.workload, state.plan.placement.replicas)]
    missing = runtime.objects.versions.missing(every)
    if missing:
        raise BadInput(
            f"the cluster at {runtime.objects.api.url} does not offer {', '.join(missing)}, "
            f"which --gpu {state.options.gpu} needs; choose another --gpu"
        )
    return every


def state_object(state: ClusterDeployment) -> Json:
    """The ConfigMap with the state."""
    options = state.options
    own = {**labels.instance(options), MANAGED_BY: "scepsy", labels.EPOCH: str(state.epoch)}
    meta: Json = {"name": state_name(options.name), "namespace": options.namespace, "labels": own}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **packed(state)}
