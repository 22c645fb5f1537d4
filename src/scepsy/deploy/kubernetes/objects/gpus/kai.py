"""GPUs by the KAI scheduler: whole ones, or parts by annotation (pure).

KAI finds a GPU with room and limits nothing. The limits are those of a node's MPS daemon, whose
pipe directory pods mount, as KAI's documentation describes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects.gpus.device_plugin import WHOLE
from scepsy.deploy.kubernetes.objects.gpus.mps_hostpath import PIPES
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import (
    WHOLE_GPUS_PLAN,
    exact_gpus_lost,
    in_words,
    is_part,
    shared_gpus,
)
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions
from scepsy.hardware.equal_shares import SHARE_TOLERANCE

SCHEDULER = "kai-scheduler"
QUEUE = "kai.scheduler/queue"
NODE_PIPES = "/tmp/nvidia-mps"
"""The pipe directory of an MPS daemon that was started without another one."""


class KaiScheduler:
    """Any fraction of GPUs that KAI chooses."""

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        for (node, gpu), booked in _booked(plan).items():
            if booked > 1 + SHARE_TOLERANCE:
                yield (
                    f"{in_words((node, (gpu,)))}: KAI books the larger one of the compute and the "
                    f"memory share of each replica, which adds up to {booked:.2f} of the GPU. "
                    f"To share none, {WHOLE_GPUS_PLAN}; or use --gpu dra."
                )
        if "{gpu}" not in (options.mps_pipe or NODE_PIPES):
            return
        for gpus, replicas in shared_gpus(plan).items():
            yield (
                f"{replicas[0].replica} is to share {in_words(gpus)}, and KAI chooses the GPU, so "
                f"that the daemon's directory {options.mps_pipe} is not known before. Run one MPS "
                f"daemon for all GPUs of a node and give its directory: --mps-pipe {NODE_PIPES}."
            )
            return

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield from exact_gpus_lost(plan, "KAI")
        if shared_gpus(plan):
            yield (
                "Which replicas share a GPU: KAI puts parts together as it likes. It counts the "
                "larger one of compute and memory share."
            )

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield f"The KAI scheduler with a queue {options.queue!r}."
        if shared_gpus(plan):
            nodes = sorted({node for node, _ in shared_gpus(plan)})
            pipes = options.mps_pipe or NODE_PIPES
            yield "KAI's option global.gpuSharing=true."
            yield (
                f"On the nodes {', '.join(nodes)}: an MPS daemon for all GPUs with the pipe "
                f"directory {pipes}, which accepts clients of user {options.user}; without one, "
                "shares are not limited."
            )
            yield "A namespace that allows hostPath volumes and hostIPC."

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        return iter(())

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        queue = {QUEUE: options.queue}
        if not is_part(replica):
            return PodGpus(limits={WHOLE: str(replica.tp)}, labels=queue, scheduler=SCHEDULER)
        annotations = {"gpu-fraction": f"{_fraction(replica):.3f}"}
        if replica.tp > 1:
            annotations["gpu-fraction-num-devices"] = str(replica.tp)
        return PodGpus(
            mps=True,
            env={"CUDA_MPS_PIPE_DIRECTORY": PIPES},
            labels=queue,
            annotations=annotations,
            volumes=(
                {
                    "name": "mps",
                    "hostPath": {"path": options.mps_pipe or NODE_PIPES, "type": "Directory"},
                },
            ),
            mounts=({"name": "mps", "mountPath": PIPES},),
            scheduler=SCHEDULER,
            host_ipc=True,
        )


def _booked(plan: Plan) -> dict[tuple[str, int], float]:
    """By node and GPU, the part that its replicas book together."""
    found: defaultdict[tuple[str, int], float] = defaultdict(float)
    for replica in filter(is_part, plan.placement.replicas):
        for part in replica.slices:
            found[part.node, part.gpu] += _fraction(replica)
    return dict(sorted(found.items()))


def _fraction(replica: Replica) -> float:
    """The part of each GPU that KAI books. A part must be below 1."""
    return min(0.999, max(replica.gpu_share, replica.memory_share))
