"""GPUs by dynamic resource allocation: NVIDIA's DRA driver, `resource.k8s.io/v1` (pure).

The driver starts one MPS daemon for each claim whose configuration asks for MPS, and pods share it
by naming the same claim. So each set of shared GPUs is one claim, and a replica must use all GPUs
of its claim: a container can be the client of one daemon only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import (
    Gpus,
    exact_gpus_lost,
    gpus_of,
    in_words,
    is_part,
    parts_of_groups,
    shared_gpus,
)
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions

DRIVER = "gpu.nvidia.com"
_REQUEST = "gpus"
_CLAIM = "gpus"


class DynamicResources:
    """A claim for each replica on whole GPUs, and one for each set of GPUs that replicas share.

    A claim cannot be changed once it exists. So a shared one says nothing of shares: each pod
    limits itself by the environment variables of an MPS client, and a new plan keeps the claim.
    """

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        for (one, ours), (other, theirs) in combinations(shared_gpus(plan).items(), 2):
            if one[0] == other[0] and set(one[1]) & set(other[1]):
                yield (
                    f"{ours[0].replica} shares {in_words(one)} and {theirs[0].replica} shares "
                    f"{in_words(other)}: a GPU is in one claim, which has one MPS daemon, and a "
                    "container can connect to one daemon only. Make the plan without "
                    "--share-groups."
                )

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        used = {part.node for one in plan.placement.replicas for part in one.slices}
        unknown = [node.name for node in plan.cluster.nodes if node.name in used and not node.uuids]
        if unknown:
            yield (
                f"The exact GPUs of {', '.join(unknown)}: the cluster file has no `uuids` for "
                "these nodes, so the scheduler chooses. The GPUs that the plan shares are shared "
                "by the same replicas, and no others are."
            )
            yield from list(exact_gpus_lost(plan, "the scheduler"))[1:]
        if shared_gpus(plan):
            yield (
                "Shares are limits that each engine sets for itself. A pod of somebody else that "
                "names the same claim is not limited."
            )

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield f"Kubernetes 1.34 or newer, and NVIDIA's DRA driver with the device class {DRIVER}."
        if shared_gpus(plan):
            yield "The driver's feature gate MPSSupport, which is alpha and off by default."
        for replica in parts_of_groups(plan):
            yield (
                f"Trust: {replica.replica} takes parts of a TP group under one MPS daemon, which "
                "nobody is known to have run."
            )
            break

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        for gpus in shared_gpus(plan):
            yield self._claim(plan, gpus, options, plan_id, _claim_name(gpus, options), mps=True)
        for replica in sorted(plan.placement.replicas, key=lambda one: one.replica):
            if not is_part(replica):
                name = labels.workload_name(options, replica)
                yield self._claim(plan, gpus_of(replica), options, plan_id, name, mps=False)

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        part = is_part(replica)
        name = (
            _claim_name(gpus_of(replica), options)
            if part
            else labels.workload_name(options, replica)
        )
        return PodGpus(
            claims=({"name": _CLAIM},),
            pod_claims=({"name": _CLAIM, "resourceClaimName": name},),
            mps=part,
        )

    def _claim(
        self,
        plan: Plan,
        gpus: Gpus,
        options: RenderOptions,
        plan_id: str,
        name: str,
        *,
        mps: bool,
    ) -> Object:
        exactly: Object = {
            "deviceClassName": DRIVER,
            "allocationMode": "ExactCount",
            "count": len(gpus[1]),
        }
        if uuids := _uuids(plan, gpus):
            uuid = f"device.attributes['{DRIVER}'].uuid"
            expression = f"{uuid} in [{', '.join(repr(one) for one in uuids)}]"
            exactly["selectors"] = [{"cel": {"expression": expression}}]
        devices: Object = {"requests": [{"name": _REQUEST, "exactly": exactly}]}
        if mps:
            parameters: Object = {
                "apiVersion": "resource.nvidia.com/v1beta1",
                "kind": "GpuConfig",
                "sharing": {"strategy": "MPS", "mpsConfig": {}},
            }
            opaque: Object = {"driver": DRIVER, "parameters": parameters}
            devices["config"] = [{"requests": [_REQUEST], "opaque": opaque}]
        return {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": labels.metadata(
                options, plan_id, name, annotations={labels.GPUS: in_words(gpus)}
            ),
            "spec": {"devices": devices},
        }


def _uuids(plan: Plan, gpus: Gpus) -> Sequence[str]:
    """The UUIDs of these GPUs; empty where they are not known."""
    name, numbers = gpus
    node = next(node for node in plan.cluster.nodes if node.name == name)
    return [node.uuids[number] for number in numbers] if node.uuids else []


def _claim_name(gpus: Gpus, options: RenderOptions) -> str:
    node, numbers = gpus
    return dns_label(f"{options.name}-{node}-gpu{'-'.join(map(str, numbers))}")
