"""GPUs by MPS daemons that run on the nodes, whose pipe directories pods mount (pure).

No scheduler counts these GPUs: the plan does. So the nodes should be kept for this deployment.
"""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import (
    gpus_of,
    is_part,
    parts_of_groups,
    shared_gpus,
)
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions

PIPES = "/run/nvidia/mps/pipe"
"""The pipe directory in the container."""

NODE_PIPES = "/run/nvidia/mps/{gpu}/pipe"
"""The pipe directories on the node by default."""

RUNTIME = "nvidia"
"""The RuntimeClass of NVIDIA's container toolkit, which gives a container the GPUs that
NVIDIA_VISIBLE_DEVICES names.
"""


class MpsHostPath:
    """Exactly the GPUs of the plan, by number or UUID. Parts are clients of the node's daemon: one
    for all its GPUs, or one for each, whose directory then has "{gpu}" in its name.
    """

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        pipes = options.mps_pipe or NODE_PIPES
        if "{gpu}" not in pipes:
            return
        for replica in parts_of_groups(plan):
            yield (
                f"{replica.replica} takes a part of each of {replica.tp} GPUs, and --mps-pipe "
                f"{pipes} says that each GPU has its own MPS daemon; a container can "
                "connect to one only. Make the plan without --share-groups, or run one daemon for "
                "all GPUs of a node and give its directory."
            )

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        if plan.placement.replicas:
            yield (
                "That GPUs are taken: Kubernetes counts none of them here, and would give them to "
                "other pods, too."
            )

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield (
            f"A RuntimeClass {RUNTIME!r} of NVIDIA's container toolkit, which lets pods choose "
            "GPUs by NVIDIA_VISIBLE_DEVICES, and no other pods with GPUs on the plan's nodes."
        )
        if shared_gpus(plan):
            yield (
                "A namespace that allows hostPath volumes and hostIPC, which the Pod Security "
                "Standards forbid from `baseline` on."
            )
        for node, gpus in shared_gpus(plan):
            for gpu in gpus:
                folder = (options.mps_pipe or NODE_PIPES).replace("{gpu}", str(gpu))
                yield (
                    f"On node {node}: an MPS daemon for GPU {gpu} with the pipe directory "
                    f"{folder}, which accepts clients of user {options.user}."
                )

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        return iter(())

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        env = {
            "NVIDIA_VISIBLE_DEVICES": ",".join(_devices(plan, replica)),
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        }
        if not is_part(replica):
            return PodGpus(env=env, runtime_class=RUNTIME)
        pipes = options.mps_pipe or NODE_PIPES
        folder = pipes.replace("{gpu}", str(replica.slices[0].gpu))
        return PodGpus(
            mps=True,
            env={**env, "CUDA_MPS_PIPE_DIRECTORY": PIPES},
            volumes=({"name": "mps", "hostPath": {"path": folder, "type": "Directory"}},),
            mounts=({"name": "mps", "mountPath": PIPES},),
            runtime_class=RUNTIME,
            host_ipc=True,
        )


def _devices(plan: Plan, replica: Replica) -> list[str]:
    """UUIDs of the replica's GPUs, or their numbers where the UUIDs are not known."""
    name, numbers = gpus_of(replica)
    node = next(node for node in plan.cluster.nodes if node.name == name)
    return [node.uuids[number] if node.uuids else str(number) for number in numbers]
