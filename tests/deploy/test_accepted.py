"""What becomes of a deployment's accepted plan when another one is accepted."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Plan
from scepsy.deploy.accepted import AcceptedPlan, accepted, reached
from scepsy.deploy.kubernetes.deployment_state import ClusterDeployment
from scepsy.deploy.local.state import Deployment
from scepsy.deploy.ray.records import RayDeployment
from scepsy.engines import EngineOptions
from scepsy.testing.deploy_plans import LLMS, plan_of

CLUSTER = Cluster(nodes=(Node(name="n", gpus=2),))


def plan(names: str) -> Plan:
    """A plan that has these LLMs alone."""
    llms = tuple(msgspec.structs.replace(LLMS[0], name=name) for name in names)
    return plan_of(CLUSTER, *((name, ["n/0"], 0.1) for name in names), llms=llms)


def asked(names: str, seed: int = 0) -> Deployment:
    return Deployment(
        name="d", plan=plan(names), epoch=0, options=EngineOptions(seed=seed, host="h")
    )


plans = st.builds(asked, st.sampled_from(["a", "b", "ab", "bc"]), st.integers(0, 1))


def test_the_same_again_keeps_its_epoch_and_anything_else_gets_the_next() -> None:
    first = accepted(asked("a"), asked("a"))
    assert (first.epoch, first.settled) == (1, False)
    settled = msgspec.structs.replace(first, settled=True)
    assert accepted(settled, asked("a")) == first
    assert accepted(settled, asked("b")).epoch == 2
    assert accepted(settled, asked("a", seed=1)).epoch == 2


@given(st.lists(plans, min_size=1))
def test_an_llm_leaves_until_a_plan_has_it_again(every: list[Deployment]) -> None:
    state = every[0]
    known: set[str] = set()
    for one in every:
        after = accepted(state, one)
        assert after.epoch in (state.epoch, state.epoch + 1)
        assert after.plan == one.plan
        assert after.options == one.options
        known |= {llm.name for llm in one.plan.llms}
        leaving = {llm.name for llm in after.leaving}
        assert leaving == known - {llm.name for llm in one.plan.llms}
        state = after


def test_every_backend_keeps_the_same_of_a_plan() -> None:
    for kind in (Deployment, RayDeployment, ClusterDeployment):
        assert issubclass(kind, AcceptedPlan)


def test_nodes_keep_the_weights_that_replicas_have_loaded_there() -> None:
    first = accepted(asked("a"), asked("a"))
    settled = msgspec.structs.replace(
        first, **reached(first, {"a": 3.0}, plan("a").placement.replicas)
    )
    assert (settled.weights, settled.start_seconds) == ((("n", "a"),), {"a": 3.0})
    without = accepted(settled, asked("b"), plan("a").placement.replicas)
    again = accepted(without, asked("ab"))
    assert again.weights == (("n", "a"),)
    llms = tuple(msgspec.structs.replace(llm, model_path="/other") for llm in plan("a").llms)
    other = msgspec.structs.replace(asked("a"), plan=msgspec.structs.replace(plan("a"), llms=llms))
    assert accepted(settled, other).weights == ()
