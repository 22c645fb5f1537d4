"""Plans for the tests of what is rendered."""

from __future__ import annotations

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Placement, Plan, Replica, Slice
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import NotCarried, Rendered, RenderOptions, render
from scepsy.testing.strategies import bare_plan

SIZES = {
    "parameters": 8e9,
    "layers": 32,
    "hidden": 4096,
    "heads": 32,
    "kv_heads": 8,
    "head_dim": 128,
}


def vllm(name: str, **more: object) -> LlmSpec:
    return LlmSpec(name=name, engine="vllm", model_path=f"org/{name}", **{**SIZES, **more})


def replica(name: str, node: str, gpus: tuple[int, ...], share: float = 1.0) -> Replica:
    """A replica of the LLM in whose name it is: "judge-0" is one of "judge"."""
    return Replica(
        replica=name,
        llm=name.rpartition("-")[0],
        tp=len(gpus),
        slices=tuple(
            Slice(node=node, gpu=gpu, gpu_share=share, memory_share=share) for gpu in gpus
        ),
    )


def plan_of(*replicas: Replica, nodes: tuple[Node, ...] | None = None) -> Plan:
    nodes = nodes or (Node(name="n1", gpus=8), Node(name="n2", gpus=4))
    names = sorted({one.llm for one in replicas})
    return bare_plan(
        Cluster(nodes=nodes), tuple(map(vllm, names)), Placement(replicas=tuple(replicas))
    )


def rendered(plan: Plan, **options: object) -> Rendered:
    found = render(plan, container_launches(plan), RenderOptions(**options))
    assert isinstance(found, Rendered), found
    return found


def refused(plan: Plan, **options: object) -> str:
    found = render(plan, container_launches(plan), RenderOptions(**options))
    assert isinstance(found, NotCarried)
    return " ".join(found.reasons)
