"""GPUs by HAMi: parts of compute and memory that its library enforces in the container (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects.gpus.device_plugin import WHOLE
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import gpus_of, is_part, shared_gpus
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions

MEMORY = "nvidia.com/gpumem"
CORES = "nvidia.com/gpucores"
INDEXES = "nvidia.com/use-gpuindexes"
UUIDS = "nvidia.com/use-gpuuuid"
_MIB = 1 << 20


class Hami:
    """Any part of exactly the GPUs of the plan, by UUID or number. HAMi divides the time of a GPU
    instead of its multiprocessors: engines take turns.
    """

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        return iter(())

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        if shared_gpus(plan):
            yield (
                "How engines share compute: the plan predicts shares of multiprocessors, as MPS "
                "gives them; HAMi gives shares of time."
            )

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        yield "HAMi with its scheduler and webhook, and its label gpu=on on the plan's nodes."
        if any(replica.tp > 1 for replica in plan.placement.replicas):
            yield (
                "For TP groups on vLLM: the flag --disable-custom-all-reduce of the LLM, since "
                "HAMi's library does not pass CUDA IPC on."
            )

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        return iter(())

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        limits = {WHOLE: str(replica.tp)}
        if is_part(replica):
            bytes_ = replica.memory_share * plan.cluster.gpu_memory
            limits[MEMORY] = str(int(bytes_) // _MIB)
            limits[CORES] = str(max(1, round(100 * replica.gpu_share)))
        name, numbers = gpus_of(replica)
        node = next(node for node in plan.cluster.nodes if node.name == name)
        if node.uuids:
            chosen = {UUIDS: ",".join(node.uuids[number] for number in numbers)}
        else:
            chosen = {INDEXES: ",".join(map(str, numbers))}
        return PodGpus(limits=limits, annotations=chosen)
