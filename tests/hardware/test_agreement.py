"""One truth for step time, memory traffic, contention and host time: whoever asks, hears the same.

The simulator, the step timer, the predictor and the emulated engine are compared for dense LLMs,
mixtures, quantised ones, a TP degree above the number of KV heads, whole and shared GPUs.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    LlmAllocation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
    Target,
)
from scepsy.curves.jobs import Job
from scepsy.engines.emulated.__main__ import _build, _parser
from scepsy.engines.emulated.board import Board
from scepsy.engines.emulated.pacer import Pacer
from scepsy.estimate.curves import estimate
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.contention import bandwidth_wanted
from scepsy.hardware.gpus import bandwidth_kept, gpu_constants
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import CallTokens, StepLoad, StepTimer, call_cost
from scepsy.predict import Pipeline, ReplayPredictor, recordings, responses, slowdown_by_llm
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Ask, ServedCall, Simulation
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.traces.summarize import summarize

GPU = "h100"
TOLERANCE = 0.01


class Case(NamedTuple):
    """An LLM as it is served: on `tp` GPUs, `share` of each."""

    architecture: str
    tp: int = 1
    share: float = 1.0
    engine: EngineKind = "emulated"

    @property
    def llm(self) -> LlmSpec:
        shape = {**shape_called(self.architecture), "max_context": 8192}
        return LlmSpec(name="g", engine=self.engine, max_sequences=1, **shape)

    @property
    def timer(self) -> StepTimer:
        return StepTimer(self.llm, gpu_constants(GPU), tp=self.tp, gpu_share=self.share)

    def alone(self, prompt: int, output: int) -> float:
        """Seconds of a call on an idle engine."""
        host = host_time(self.engine)
        tokens = CallTokens(prompt, output)
        return host.request + call_cost(self.timer, tokens, step_tokens=host.step_tokens)[0]


DENSE = Case("llama-3.1-8b")
CASES = {
    "dense": DENSE,
    "dense, half a GPU": Case("llama-3.1-8b", share=0.5),
    "dense, vLLM": Case("llama-3.1-8b", engine="vllm"),
    "mixture": Case("qwen3-30b-a3b"),
    "mixture, half a GPU": Case("gpt-oss-20b", share=0.5),
    "TP above its 4 KV heads": Case("qwen3-30b-a3b", tp=8, engine="vllm"),
    "quantised": Case("llama-3.1-70b-fp8", tp=2),
    "embedding": Case("bge-m3", share=0.5),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@cases
@settings(max_examples=15, deadline=None)
@given(prompt=st.integers(1, 6000), output=st.integers(1, 300))
def test_a_call_alone_takes_what_its_steps_take(case: Case, prompt: int, output: int) -> None:
    output = output if case.llm.kind == "generate" else 0
    (served,) = simulated(case, 1, Ask("g", prompt, output))
    assert served.latency == pytest.approx(case.alone(prompt, output), rel=TOLERANCE)


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.engine == "emulated"])
@settings(max_examples=15, deadline=None)
@given(prompt=st.integers(1, 6000), output=st.integers(1, 300))
def test_the_emulated_engine_takes_as_long(case: Case, prompt: int, output: int) -> None:
    output = output if case.llm.kind == "generate" else 0
    engine = emulated(case)
    engine.add(EngineSequence(0, prompt, output))
    seconds = 0.0
    while not engine.idle:
        seconds += engine.step().duration
    assert seconds == pytest.approx(case.alone(prompt, output), rel=TOLERANCE)


@cases
@pytest.mark.parametrize(("prompt", "output"), [(900, 60)])
def test_predictors_on_an_estimated_curve_say_the_same(
    case: Case, prompt: int, output: int
) -> None:
    generates = case.llm.kind == "generate"
    expected = case.alone(prompt, output if generates else 0)
    lengths = {"prompt_tokens": prompt, "output_tokens": output if generates else 0}
    traces = [trace(call("g", 0, 1, call="c", **lengths))]
    job = Job(case.llm, case.tp, case.share, case.share, ("w",))
    curves = estimate(job, traces, CLUSTER, [Steps(GPU, "modelled")])
    assert not isinstance(curves, str), curves
    demands, targets = summarize(traces), (Target(workflow="w", rate=1e-6),)
    pipeline = Pipeline(demands, targets, responses(curves))
    for predictor in (pipeline, ReplayPredictor(pipeline, recordings(traces))):
        (flow,) = predictor.predict(allocation(case)).workflows
        assert flow.latency_mean == pytest.approx(expected, rel=TOLERANCE)


SHARED = [
    (Case("llama-3.1-8b", share=0.5), True),
    (Case("qwen3-8b", share=0.3, engine="vllm"), True),
    (Case("llama-3.1-70b-fp8", tp=4, share=0.3), True),
    (Case("gpt-oss-20b", share=0.2), False),
    (Case("qwen3-30b-a3b", tp=8, share=0.2), False),
    (Case("bge-m3", share=0.4), False),
]
"""Whether they together want more bandwidth than a GPU has. A mixture's single token does not: it
visits few experts.
"""


@pytest.mark.parametrize(("case", "contend"), SHARED, ids=str)
def test_busy_engines_slow_each_other_down_alike(case: Case, contend: bool, tmp_path: Path) -> None:
    """The same ratio in simulator, predictor and emulated engine."""
    prompt, output = (64, 400) if case.llm.kind == "generate" else (2000, 0)
    ask, engines = Ask("g", prompt, output), int(1 / case.share)
    together, alone = (
        max(one.latency for one in simulated(case, engines, ask, contention=contention))
        for contention in (True, False)
    )
    request = host_time(case.engine).request
    slower = (together - request) / (alone - request)
    assert predicted(case, engines, ask) == pytest.approx(slower, rel=TOLERANCE)
    assert paced(case, engines, ask, tmp_path / "gpu") == pytest.approx(slower, rel=TOLERANCE)
    assert (slower > 1.05) == contend


def test_a_mixture_draws_what_its_visited_experts_take() -> None:
    """Of qwen3-30b-a3b, one token visits 8 of 128 experts: not 61 GB in a step."""
    case = Case("qwen3-30b-a3b")
    seconds, memory = case.timer.cost(StepLoad(decodes=1, decode_kv=100))
    llm, peak = case.llm, gpu_constants(GPU).bandwidth
    assert llm.weight_bytes / seconds / peak > 3  # more than there is
    assert 0.3 < bandwidth_wanted(memory, bandwidth_kept(1.0)) < 0.6


CLUSTER = Cluster(nodes=(Node(name="n", gpus=8, gpu_type=GPU),))


def simulated(case: Case, replicas: int, ask: Ask, *, contention: bool = True) -> list[ServedCall]:
    """One call to each of `replicas` replicas on the same GPUs, all sent at once."""
    simulation = deployment(plan(case, replicas), contention=contention)
    assert isinstance(simulation, Simulation), simulation
    for _ in range(replicas):
        simulation.call(simulation.begin_run("w"), ask, lambda _call: None)
    simulation.events.run()
    assert len({one.replica for one in simulation.calls}) == replicas
    return simulation.calls


def emulated(case: Case) -> SimulatedEngine:
    arguments = {
        "--llm-json": msgspec.json.encode(case.llm).decode(),
        "--tp": case.tp,
        "--gpu-share": case.share,
        "--memory-share": case.share,
        "--gpu-type": GPU,
        "--port": 0,
    }
    flags = [text for pair in arguments.items() for text in map(str, pair)]
    return _build(_parser().parse_args(flags)).pacer.engine


def paced(case: Case, engines: int, ask: Ask, path: Path) -> float:
    """How much slower the emulated engine goes beside others that do the same."""
    engine, kept = emulated(case), bandwidth_kept(case.share)
    ours, *neighbours = (Board(path) for _ in range(engines))
    pacer = Pacer(engine, boards=(ours,), bandwidth_kept=kept)
    engine.add(EngineSequence(0, ask.prompt_tokens, ask.output_tokens))
    alone = together = 0.0
    while not engine.idle:
        step = engine.schedule()
        for neighbour in neighbours:
            neighbour.post(bandwidth_wanted(step.memory_bound, kept), 600.0)
        seconds = engine.commit(step, 1).duration
        alone, together = alone + seconds, together + seconds / pacer._speed(step)
    return together / alone


def predicted(case: Case, engines: int, ask: Ask) -> float:
    """What the predictor says where all are saturated, so that all compute all the time."""
    lengths = {"prompt_tokens": ask.prompt_tokens, "output_tokens": ask.output_tokens}
    demands = summarize([trace(call("g", 0, 1, call="c", **lengths))])
    known = curve("g", {0.0: 1.0, 1e-3: 1.0}, tp=case.tp, gpu_share=case.share, max_throughput=1e-3)
    targets = (Target(workflow="w", rate=10.0),)
    pipeline = Pipeline(demands, targets, responses([known]))
    placed, gpu = plan(case, engines).placement, gpu_constants(GPU)
    return slowdown_by_llm(pipeline, allocation(case, engines), placed, [case.llm], gpu)["g"]


def allocation(case: Case, replicas: int = 1) -> Allocation:
    part = LlmAllocation(
        llm="g",
        tp=case.tp,
        gpu_share=case.share,
        memory_share=case.share,
        replicas=replicas,
    )
    return Allocation(llms=(part,))


def plan(case: Case, replicas: int) -> Plan:
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
        placement=Placement(
            replicas=tuple(
                Replica(replica=f"g-{number}", llm="g", tp=case.tp, slices=parts)
                for number in range(replicas)
            )
        ),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )
