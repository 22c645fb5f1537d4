"""What keeps an engine to its part of the GPUs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scepsy.engines.gpu_env import gpu_environment
from scepsy.engines.protocol import EngineResources


def test_a_group_of_whole_gpus_sees_them_and_needs_no_mps() -> None:
    resources = EngineResources(tp=2, gpu_type="h100", gpu_memory=80e9, gpus=(2, 3))
    assert gpu_environment(resources) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "2,3",
    }


def test_a_part_of_a_group_is_limited_on_each_gpu_that_it_sees() -> None:
    resources = EngineResources(
        tp=2, gpu_share=0.4, memory_share=0.5, gpu_type="h100", gpu_memory=80e9, gpus=(2, 3)
    )
    found = gpu_environment(resources)
    assert found["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert found["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "40"
    assert found["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=38146M,1=38146M"


def test_any_gpu_will_do() -> None:
    assert gpu_environment(EngineResources(gpu_type="h100", gpu_memory=80e9)) == {}


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.integers(0, 7))
def test_a_fraction_has_both_limits_on_the_one_gpu_that_it_sees(
    compute: float, memory: float, gpu: int
) -> None:
    found = gpu_environment(
        EngineResources(
            gpu_share=compute, memory_share=memory, gpu_type="x", gpu_memory=8e10, gpus=(gpu,)
        )
    )
    assert found["CUDA_VISIBLE_DEVICES"] == str(gpu)
    percentage = int(found["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"])
    assert 1 <= percentage <= 100
    assert abs(percentage - 100 * compute) <= 1
    device, _, limit = found["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"].partition("=")
    assert device == "0"
    assert 0 <= memory * 8e10 - int(limit.removesuffix("M")) * 2**20 < 2**20
