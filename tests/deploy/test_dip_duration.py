"""For how long a change leaves an LLM without the capacity that its load needs."""

from __future__ import annotations

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.changes.actions import Dip
from scepsy.deploy.changes.limits import limits_of
from scepsy.deploy.changes.observed import Observed, ObservedReplica, Wanted
from scepsy.deploy.reconcile import diff
from scepsy.testing.deployments import plan_of, replica

CLUSTER = Cluster(nodes=(Node(name="n", gpus=2),))
TWO = tuple(replica(f"a-{gpu}", ("n", gpu)) for gpu in (0, 1))


def dips(gpus_with_room: int, times: dict[str, float]) -> tuple[Dip, ...]:
    """What is refused where both replicas of an LLM have to be restarted and its load needs
    `gpus_with_room` of their GPUs.
    """
    plan = plan_of(CLUSTER, TWO, {"a": gpus_with_room / 2})
    running = tuple(ObservedReplica(one, outdated=True) for one in TWO)
    change = diff(Wanted(plan, 2), Observed(running, start_seconds=times), limits_of(plan))
    assert change.refusal is not None
    return change.refusal.dips


def test_it_lasts_as_long_as_the_starts_that_are_measured() -> None:
    (dip,) = dips(2, {"a": 30.0})
    # One replica after the other leaves, and is started anew.
    assert (dip.missing, dip.seconds) == (0.5, pytest.approx(60.0))
    assert str(dip).endswith("serve, about 60 s after the calls there have ended")


def test_without_a_measured_start_it_is_said_to_be_unknown() -> None:
    (dip,) = dips(2, {"b": 30.0})
    assert dip.seconds is None
    assert "for how long is unknown" in str(dip)


def test_starts_on_one_gpu_come_one_after_another_and_on_several_side_by_side() -> None:
    old = (replica("a-0", ("n", 0)), replica("a-1", ("n", 1)))
    halves = tuple(replica(f"a-{i}", ("n", i // 2), share=0.5) for i in range(4))
    plan = plan_of(CLUSTER, halves, {"a": 1.0})
    running = tuple(ObservedReplica(one, outdated=True) for one in old)
    seen = Observed(running, start_seconds={"a": 10.0})
    change = diff(Wanted(plan, 2), seen, limits_of(plan))
    assert change.refusal is not None
    (dip,) = change.refusal.dips
    assert dip.seconds == pytest.approx(40.0)  # two on the first GPU, then two on the second
