"""A library call checks what the command checks, and unknown lengths are filled in and named."""

from __future__ import annotations

import msgspec
import pytest

from builders import call, curve, trace
from scepsy import plan
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.planning.simulation import SimulationOptions

NODE = Node(name="n", gpus=1)
GOOD = {
    "traces": [trace(call("a", 0, 1, run=f"r{i}"), run=f"r{i}") for i in range(3)],
    "profile": Profile(curves=(curve("a", {0: 1.0, 9: 1.5}),)),
    "llms": [LlmSpec(name="a", parameters=1e9, max_tp=1, min_kv_tokens=1)],
    "cluster": Cluster(nodes=(NODE,)),
    "targets": [Target(workflow="w", rate=1.0)],
}


def planned(**changed: object) -> Plan | Infeasible:
    return plan(**{**GOOD, **changed})  # pyright: ignore


def test_valid_inputs_are_planned() -> None:
    assert isinstance(planned(), Plan)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cluster", Cluster(nodes=()), "the cluster: nodes: at least one"),
        ("cluster", Cluster(nodes=(NODE, NODE)), "the cluster: nodes.name: n is there more"),
        (
            "cluster",
            Cluster(nodes=(NODE, Node(name="m", gpus=1, gpu_type="a100"))),
            "a100, h100: one GPU type",
        ),
        ("cluster", Cluster(nodes=(Node(name="n", gpus=0),)), r"nodes\[0\].gpus: 0 must be"),
        (
            "cluster",
            Cluster(nodes=tuple(Node(name=f"n{i}", gpus=10_000) for i in range(2))),
            "nodes: 20000 GPUs are more than the 16384 that can be planned",
        ),
        ("cluster", Cluster(nodes=(NODE,), gpu_memory=0), "gpu_memory: 0 must be positive"),
        ("cluster", Cluster(nodes=(NODE,), gpu_memory=80), "did you mean 80e9"),
        (
            "cluster",
            Cluster(nodes=(NODE, Node(name="m", gpus=1, shares_per_gpu=2))),
            r"nodes\[0\].shares_per_gpu: the other nodes have a number",
        ),
        (
            "cluster",
            Cluster(nodes=(Node(name="n", gpus=1, shares_per_gpu=49),)),
            r"nodes\[0\].shares_per_gpu: 49 must be from 1 to 48",
        ),
        (
            "cluster",
            Cluster(
                nodes=tuple(Node(name=f"n{n}", gpus=1, shares_per_gpu=n) for n in (11, 13, 17))
            ),
            "11, 13, 17: these are too different",
        ),
        ("targets", [], "there are no targets"),
        ("targets", [Target(workflow="w", rate=0.0)], "rate of .w.: 0 must be positive"),
        ("targets", [Target(workflow="w", rate=1e-300)], "fewer than one in thirty years"),
        (
            "targets",
            [Target(workflow="w", rate=1.0, weight=-1)],
            "weight of .w.: -1 must be positive",
        ),
        ("targets", [Target(workflow="w", rate=1.0)] * 2, "workflow: w is there more"),
        ("targets", [Target(workflow="v", rate=1.0)], "target for 'v', but no trace"),
        ("traces", [], "target for 'w', but no trace of it; traced: none"),
        ("profile", Profile(curves=()), "the profile: curves: there is none"),
        ("profile", Profile(curves=(curve("a", {}),)), r"curves\[0\].points: there is none"),
        ("llms", [*GOOD["llms"], *GOOD["llms"]], "the LLMs: llms.name: a is there more"),
        ("llms", [LlmSpec(name="a")], "LLM 'a': its size is not known"),
        (
            "llms",
            [msgspec.structs.replace(GOOD["llms"][0], max_tp=0)],
            "LLM 'a' max_tp: 0 must be positive",
        ),
        ("share_step", 0.0, "share step 0 does not divide one GPU"),
        ("share_step", 0.3, r"share step 0\.3 does not divide one GPU"),
    ],
)
def test_an_invalid_input_is_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        planned(**{field: value})


@pytest.mark.parametrize("unknown", [0, None])
def test_an_output_of_unknown_length_is_the_mean_of_the_known_ones(unknown: int | None) -> None:
    """It is neither simulated as no tokens, nor does it keep the plan from being simulated."""
    traces = [
        trace(call("a", 0, 1, run=f"r{i}", output_tokens=length), run=f"r{i}")
        for i, length in enumerate((100, 300, unknown))
    ]
    spec = LlmSpec(
        name="a", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128, max_tp=1
    )
    found = planned(traces=traces, llms=[spec], simulate=SimulationOptions(calls=300))
    assert isinstance(found, Plan)
    assert found.demands[0].llms[0].output_tokens == 200
    summary = "\n".join(found.explanation.summary)
    assert (
        "1 of 3 calls of 'a' in 'w' have no count of output tokens: taken as 200, the mean"
        in summary
    )
    assert found.explanation.finalists[0].simulated is not None
    known = [
        trace(call("a", 0, 1, run=f"r{i}", output_tokens=length), run=f"r{i}")
        for i, length in enumerate((100, 300, 200))
    ]
    same = planned(traces=known, llms=[spec], simulate=SimulationOptions(calls=300))
    assert isinstance(same, Plan)
    assert same.prediction == found.prediction
    assert same.explanation.finalists == found.explanation.finalists


def test_traces_without_token_counts_are_planned_by_replay() -> None:
    silent = [
        msgspec.structs.replace(
            one, calls=tuple(msgspec.structs.replace(c, output_tokens=None) for c in one.calls)
        )
        for one in GOOD["traces"]
    ]
    found = planned(traces=silent, simulate=SimulationOptions(calls=300))
    assert isinstance(found, Plan)
    assert "Not simulated: call 'a-0-1'" in "\n".join(found.explanation.summary)


def test_calls_that_an_llm_refuses_are_named_and_left_out_of_the_simulation() -> None:
    spec = LlmSpec(
        name="a", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128, max_tp=1
    )
    short = [trace(call("a", 0, 1, run=f"r{i}"), run=f"r{i}") for i in range(3)]
    long = trace(call("a", 0, 1, run="long", prompt_tokens=9000), run="long")
    options = SimulationOptions(calls=300)
    found = planned(traces=[*short, long], llms=[spec], simulate=options)
    assert isinstance(found, Plan)
    summary = "\n".join(found.explanation.summary)
    assert "1 of 4 calls of 'a' in 'w' are longer than the 8192 tokens that it takes" in summary
    assert "the simulation leaves them out" in summary
    without = planned(traces=short, llms=[spec], simulate=options)
    assert isinstance(without, Plan)
    simulated = [one.explanation.finalists[0].simulated for one in (found, without)]
    assert simulated[0] is not None
    assert simulated[0] == pytest.approx(simulated[1], rel=0.05)
