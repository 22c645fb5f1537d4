"""The simulated side of experiments/transfer: what took what the fit says is met exactly."""

from __future__ import annotations

import msgspec
import pytest
from experiments.transfer.distributions import rows_of

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
)
from scepsy.core.profile import Profile, StepTime

FIXED, PROMPT = 0.01, 1e-4
TOOK = 20 * FIXED + 100 * PROMPT
"""A call alone: 20 steps, of which the first computes 100 prompt tokens."""

FIT = StepTime(fixed=FIXED, prefill_token=PROMPT, sequence=0.0, kv_token=0.0, error=0.0)
PROFILE = Profile(curves=(msgspec.structs.replace(curve("g", {1.0: 1.0}), steps=FIT),))
PLAN = Plan(
    cluster=Cluster(nodes=(Node(name="n", gpus=1),)),
    llms=(LlmSpec(name="g", parameters=1e9, layers=8, hidden=512, kv_heads=8, head_dim=64),),
    targets=(),
    demands=(),
    allocation=Allocation(llms=()),
    placement=Placement(
        replicas=(
            Replica(
                replica="g-0",
                llm="g",
                tp=1,
                slices=(Slice(node="n", gpu=0, gpu_share=1.0, memory_share=1.0),),
            ),
        )
    ),
    prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
    explanation=Explanation(summary=()),
)
DRIVEN = [
    trace(
        call("g", at, at + TOOK, run=f"r{at}", first_token=at + FIXED + 100 * PROMPT, stream=True),
        call("g", at + 1, at + 1 + TOOK, run=f"r{at}"),
        run=f"r{at}",
    )
    for at in (100.0, 200.0, 350.0)
]


def test_what_took_what_the_fit_says_is_met() -> None:
    rows = rows_of(0.5, PLAN, PROFILE, DRIVEN, DRIVEN)
    driven = {row["what"]: row for row in rows if row["replayed"] == "driven"}
    assert {what: row["samples"] for what, row in driven.items()} == {
        "runs": 3,
        "calls of g": 6,
        "first tokens of g": 3,
    }
    assert driven["calls of g"]["mean_predicted"] == pytest.approx(TOOK)
    assert driven["runs"]["mean_predicted"] == pytest.approx(1 + TOOK)
    for row in driven.values():
        for at in ("mean", "p50", "p90", "p99"):
            assert row[f"{at}_error"] == pytest.approx(0, abs=1e-4)


def test_steps_that_are_longer_are_seen() -> None:
    slower = msgspec.structs.replace(FIT, fixed=2 * FIXED)
    profile = Profile(curves=(msgspec.structs.replace(PROFILE.curves[0], steps=slower),))
    rows = rows_of(0.5, PLAN, profile, DRIVEN, DRIVEN)
    calls = next(row for row in rows if row["what"] == "calls of g")
    assert calls["ks"] == 1
    assert calls["mean_error"] == pytest.approx(20 * FIXED / TOOK, rel=1e-3)


def test_one_run_is_no_distribution() -> None:
    assert rows_of(0.5, PLAN, PROFILE, DRIVEN, DRIVEN[:1]) == []
