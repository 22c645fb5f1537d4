"""Plans that no command makes, and that no backend may start."""

from __future__ import annotations

import msgspec
import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Placement, Plan, Slice
from scepsy.deploy.startable import check_one_machine, check_startable
from scepsy.errors import BadInput
from scepsy.testing.deploy_plans import LLMS, plan_of

TWO = Cluster(nodes=(Node(name="a", gpus=2), Node(name="b", gpus=2)))
PAIR = plan_of(TWO, ("m", ["a/0"], 1.0), ("m", ["b/0"], 1.0))


def with_slices(*slices: Slice, tp: int) -> Plan:
    first = msgspec.structs.replace(PAIR.placement.replicas[0], slices=slices, tp=tp)
    return msgspec.structs.replace(PAIR, placement=Placement(replicas=(first,)))


def test_two_replicas_of_one_name_are_refused() -> None:
    same = tuple(msgspec.structs.replace(r, replica="m") for r in PAIR.placement.replicas)
    with pytest.raises(BadInput, match="there are 2 replicas 'm'"):
        check_startable(msgspec.structs.replace(PAIR, placement=Placement(replicas=same)))


@pytest.mark.parametrize(("parts", "tp"), [(0, 1), (2, 2), (1, 2)])
def test_a_group_needs_as_many_different_gpus_as_its_degree(parts: int, tp: int) -> None:
    half = Slice(node="a", gpu=0, gpu_share=0.5, memory_share=0.5)
    with pytest.raises(BadInput, match="different GPUs"):
        check_startable(with_slices(*(half,) * parts, tp=tp))


def test_real_engines_of_several_machines_are_not_started_on_this_one() -> None:
    check_one_machine(PAIR)  # emulated
    real = tuple(msgspec.structs.replace(llm, engine="vllm") for llm in LLMS)
    with pytest.raises(BadInput, match="GPUs of a, b, and --on local"):
        check_one_machine(msgspec.structs.replace(PAIR, llms=real))
