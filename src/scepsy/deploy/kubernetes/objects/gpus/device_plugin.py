"""GPUs by NVIDIA's device plugin: whole ones, or equal shares by MPS (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scepsy.core.plan import Plan, Replica, size_name
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import by_node, exact_gpus_lost, is_part
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions
from scepsy.hardware.equal_shares import SHARE_TOLERANCE, equal_shares_of

WHOLE = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"
"""The resource of a share under the plugin's `renameByDefault`."""

TELL_THE_PLANNER = (
    "Give the nodes `shares_per_gpu` in the cluster file (1 for whole GPUs, N for shares of 1/N), "
    "and make the plan anew; or use --gpu dra."
)
"""What to do about a plan that was made for GPUs that can be shared in any way."""


class DevicePlugin:
    """The plugin gives a pod whole GPUs, or, on a node that is set to it, one of N equal shares of
    one GPU. It chooses the GPU. All GPUs of a node have the same N.
    """

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        for node, replicas in by_node(plan.placement.replicas).items():
            reason = uncarried_shares(node, replicas)
            if reason is not None:
                yield reason

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield from exact_gpus_lost(plan, "the device plugin")

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield "NVIDIA's device plugin, which offers nvidia.com/gpu on every node of the plan."
        for node, replicas in by_node(filter(is_part, plan.placement.replicas)).items():
            count = round(1 / replicas[0].gpu_share)
            yield (
                f"On node {node}: MPS sharing with {count} replicas per GPU and renameByDefault in "
                f"the device plugin's configuration, so that the node offers {SHARED}."
            )

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        return iter(())

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        if is_part(replica):
            return PodGpus(limits={SHARED: "1"}, mps=True)
        return PodGpus(limits={WHOLE: str(replica.tp)})


def uncarried_shares(node: str, replicas: Sequence[Replica]) -> str | None:
    """Why the plugin cannot give these replicas of one node their shares; None where it can: all
    are whole, or all take 1/N of one GPU with the same N.
    """
    parts = [one for one in replicas if is_part(one)]
    if not parts:
        return None
    groups = [one for one in parts if one.tp > 1]
    if groups:
        return (
            f"{groups[0].replica} takes a part of each of {groups[0].tp} GPUs; the device plugin "
            f"gives a pod one share only. {TELL_THE_PLANNER}"
        )
    whole = next((one for one in replicas if not is_part(one)), None)
    if whole is not None:
        return (
            f"Node {node} has whole replicas ({whole.replica}) and parts ({parts[0].replica}); the "
            f"device plugin divides all GPUs of a node. {TELL_THE_PLANNER}"
        )
    share = parts[0].gpu_share
    for one in parts:
        if abs(one.gpu_share - share) > SHARE_TOLERANCE:
            return (
                f"Node {node} has shares of {share:g} ({parts[0].replica}) and {one.gpu_share:g} "
                f"({one.replica}); the device plugin gives equal shares only. {TELL_THE_PLANNER}"
            )
        if equal_shares_of(one.tp, share, one.memory_share) is None:
            return (
                f"{one.replica} takes {size_name(1, share)} and {one.memory_share:.2g} of the "
                f"memory; the device plugin gives one part in N of both. {TELL_THE_PLANNER}"
            )
    return None
