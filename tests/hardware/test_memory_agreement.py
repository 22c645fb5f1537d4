"""Whoever needs an engine's KV cache has the number of `hardware.memory`: search, simulator,
estimates, emulated engine, launch flags of real engines, and Aegaeon's pool.

Each test fails where its user of memory computes for itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
)
from scepsy.curves.jobs import Job
from scepsy.engines import EngineOptions, EngineResources, Launch, engine_for
from scepsy.engines.emulated.__main__ import _build, _parser
from scepsy.engines.emulated.board import Board
from scepsy.engines.emulated.served import ServedLlm
from scepsy.engines.sglang.adapter import VARIABLE as SGLANG_PYTHON
from scepsy.engines.vllm.interpreter import VARIABLE as VLLM_PYTHON
from scepsy.errors import EngineFailed
from scepsy.estimate.curves import estimate
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.memory import (
    BLOCK_TOKENS,
    ENGINE_MEMORY,
    kv_bytes_per_layer,
    kv_bytes_per_token,
    kv_capacity,
    least_memory_share,
    weight_bytes,
)
from scepsy.hardware.startable import unstartable
from scepsy.hardware.step_time import StepTimer
from scepsy.peers.aegaeon import Pool, serving
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Simulation

GPU = "h100"
MEMORY = 80e9
CLUSTER = Cluster(nodes=(Node(name="n", gpus=8, gpu_type=GPU),), gpu_memory=MEMORY)


class Case(NamedTuple):
    """An LLM on `tp` GPUs, with `share` of the memory of each."""

    architecture: str
    tp: int = 1
    share: float = 1.0
    engine: EngineKind = "emulated"

    @property
    def llm(self) -> LlmSpec:
        shape = {**shape_called(self.architecture), "max_context": 1 << 20}
        return LlmSpec(name="g", engine=self.engine, model_path="g", max_sequences=4, **shape)

    @property
    def capacity(self) -> int:
        """Tokens."""
        return kv_capacity(self.llm, tp=self.tp, memory_share=self.share, gpu_memory=MEMORY)

    @property
    def resources(self) -> EngineResources:
        share = self.share
        return EngineResources(
            tp=self.tp, gpu_share=share, memory_share=share, gpu_type=GPU, gpu_memory=MEMORY
        )


CASES = {
    "dense": Case("llama-3.1-8b"),
    "a part of a GPU": Case("llama-3.1-8b", share=0.3),
    "vLLM": Case("llama-3.1-8b", share=0.6, engine="vllm"),
    "SGLang": Case("llama-3.1-8b", share=0.6, engine="sglang"),
    "a mixture": Case("qwen3-30b-a3b", tp=2),
    "TP above the 4 KV heads": Case("qwen3-30b-a3b", tp=8, share=0.5, engine="vllm"),
    "quantised": Case("qwen3-32b-fp8", tp=2, share=0.5),
    "sliding windows": Case("gpt-oss-20b", share=0.4),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@cases
def test_the_simulator_has_that_kv_cache(case: Case) -> None:
    simulation = deployment(plan(case))
    assert isinstance(simulation, Simulation), simulation
    (replica,) = simulation.llms["g"].replicas
    assert isinstance(replica, SimulatedReplica)
    assert replica.engine.kv.capacity * BLOCK_TOKENS == case.capacity
    assert simulation.llms["g"].context == min(case.llm.max_context, case.capacity)


@cases
def test_estimates_are_made_up_to_that_kv_cache(case: Case) -> None:
    """A call that fills it but for a block is estimated; one that is a token longer is refused. The
    replica has the memory for a small cache only, since the time of an estimate grows with it.
    """
    small = msgspec.structs.replace(case.llm, min_kv_tokens=4096)
    case = case._replace(share=least_memory_share(small, tp=case.tp, gpu_memory=MEMORY))
    fits = case.capacity - BLOCK_TOKENS
    job = Job(case.llm, case.tp, case.share, case.share, ("w",))
    outcomes = [
        estimate(
            job,
            [trace(call("g", 0, 1, prompt_tokens=tokens - 1, output_tokens=1))],
            CLUSTER,
            [Steps(GPU, "modelled")],
        )
        for tokens in (fits, fits + 1)
    ]
    assert isinstance(outcomes[0], list), outcomes[0]
    assert isinstance(outcomes[1], str)
    assert f"holds {case.capacity} tokens" in outcomes[1]


@cases
def test_the_emulated_engine_serves_no_longer_context(case: Case, tmp_path: Path) -> None:
    served = emulated(case, tmp_path / "gpu")
    assert served.pacer.engine.kv.capacity * BLOCK_TOKENS == case.capacity
    assert served.context == min(case.llm.max_context, case.capacity)


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.share < 1])
def test_the_emulated_engine_holds_its_share_of_the_gpu(case: Case, tmp_path: Path) -> None:
    emulated(case, tmp_path / "gpu")
    neighbour = Board(tmp_path / "gpu")
    with pytest.raises(EngineFailed, match="less than desired"):
        neighbour.hold(1.0 - case.share + 0.01, MEMORY)
    neighbour.hold(1.0 - case.share, MEMORY)


@given(
    st.sampled_from([case for case in CASES.values() if case.share < 1]),
    st.floats(-0.05, 0.05),
)
def test_a_plan_is_startable_from_the_memory_floor_on(case: Case, more: float) -> None:
    llm = msgspec.structs.replace(case.llm, min_kv_tokens=1)
    floor = least_memory_share(llm, tp=case.tp, gpu_memory=MEMORY)
    share = floor + more
    if abs(more) > 1e-6 and 0 < share < 1:
        refused = unstartable(plan(case._replace(share=share)))
        assert (refused is not None) == (more < 0)


@pytest.mark.parametrize("share", [0.5, 0.7])
@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_vllm_is_told_to_make_that_kv_cache(
    tp: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VLLM_PYTHON, sys.executable)
    case = Case("qwen3-30b-a3b", tp=tp, share=share if tp > 1 else 0.95, engine="vllm")
    launch = launched(case)
    kv = case.capacity * kv_bytes_per_token(case.llm, tp)
    assert number(launch, "--kv-cache-memory-bytes") == round(kv)
    usable = number(launch, "--gpu-memory-utilization") * MEMORY
    working = usable - weight_bytes(case.llm, tp) - kv
    assert working == pytest.approx(ENGINE_MEMORY["vllm"].working * MEMORY, rel=0.02)


def test_vllm_on_a_cpu_makes_that_kv_cache_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VLLM_PYTHON, sys.executable)
    case = Case("qwen3-0.6b", engine="vllm")
    resources = EngineResources(gpu_type="cpu", gpu_memory=4e9)
    tokens = kv_capacity(case.llm, tp=1, memory_share=1.0, gpu_memory=4e9)
    launch = engine_for("vllm").launch(case.llm, resources, port=1, options=EngineOptions())
    assert number(launch, "--kv-cache-memory-bytes") == round(
        2 * tokens * kv_bytes_per_token(case.llm, 1)
    )


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_sglang_is_told_to_make_that_kv_cache(tp: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SGLANG_PYTHON, sys.executable)
    case = Case("qwen3-30b-a3b", tp=tp, share=0.6, engine="sglang")
    launch = launched(case)
    assert number(launch, "--max-total-tokens") == case.capacity
    static = number(launch, "--mem-fraction-static") * case.share * MEMORY
    kv = case.capacity * kv_bytes_per_token(case.llm, tp)
    assert weight_bytes(case.llm, tp) + kv == pytest.approx(static, rel=1e-3)


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_step_times_read_the_kv_cache_that_is_held(tp: int) -> None:
    llm, gpu = Case("qwen3-30b-a3b").llm, gpu_constants(GPU)
    read = StepTimer(llm, gpu, tp=tp).per_kv_token * gpu.bandwidth * gpu.kv_efficiency
    assert read == pytest.approx(llm.layers * kv_bytes_per_layer(llm, tp))
    assert read == pytest.approx(kv_bytes_per_token(llm, tp))


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_aegaeons_pool_has_that_memory(tp: int) -> None:
    case = Case("qwen3-30b-a3b", tp=tp)
    pool = serving(Pool(prefill=1, decode=1, tp=tp), [case.llm], CLUSTER)
    assert pool.llms["g"].context == min(case.llm.max_context, case.capacity)


def plan(case: Case) -> Plan:
    """One replica, on the first `tp` GPUs."""
    parts = tuple(
        Slice(node="n", gpu=gpu, gpu_share=case.share, memory_share=case.share)
        for gpu in range(case.tp)
    )
    return Plan(
        cluster=CLUSTER,
        llms=(case.llm,),
        targets=(),
        demands=(),
        allocation=Allocation(llms=()),
        placement=Placement(replicas=(Replica(replica="g-0", llm="g", tp=case.tp, slices=parts),)),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )


def emulated(case: Case, board: Path) -> ServedLlm:
    arguments = {
        "--llm-json": msgspec.json.encode(case.llm).decode(),
        "--tp": case.tp,
        "--gpu-share": case.share,
        "--memory-share": case.share,
        "--gpu-type": GPU,
        "--gpu-memory": MEMORY,
        "--port": 0,
        "--board": board,
    }
    return _build(
        _parser().parse_args([text for pair in arguments.items() for text in map(str, pair)])
    )


def launched(case: Case) -> Launch:
    return engine_for(case.engine).launch(case.llm, case.resources, port=1, options=EngineOptions())


def number(launch: Launch, flag: str) -> float:
    return float(launch.argv[launch.argv.index(flag) + 1])
