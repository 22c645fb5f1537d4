"""The diff converges, keeps what it can, and never doubles a name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.plan import Replica, Slice
from scepsy.deploy.reconcile import diff


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Replica, ...]:
    sizes = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=6))
    return tuple(
        Replica(
            replica=f"{llm}-{index}",
            llm=llm,
            tp=1,
            slices=(Slice(node="n", gpu=gpu, gpu_share=0.1, memory_share=0.1),),
        )
        for index, (llm, gpu) in enumerate(sizes)
    )


@given(fleets())
def test_no_change_for_the_same_fleet(fleet: tuple[Replica, ...]) -> None:
    assert diff(fleet, fleet).none


@given(fleets(), st.data())
def test_an_outdated_one_is_replaced_and_nothing_else(
    fleet: tuple[Replica, ...], data: st.DataObject
) -> None:
    names = [replica.replica for replica in fleet]
    outdated = data.draw(st.sets(st.sampled_from(names))) if names else set[str]()
    changes = diff(fleet, fleet, outdated)
    assert {replica.replica for replica in changes.stop} == outdated
    assert len(changes.start) == len(outdated)
    assert not {replica.replica for replica in changes.start} & set(names)


@given(fleets(), fleets())
def test_one_round_converges_and_names_stay_unique(
    running: tuple[Replica, ...], wanted: tuple[Replica, ...]
) -> None:
    changes = diff(running, wanted)
    after = (*changes.keep, *changes.start)
    assert sorted((r.llm, r.slices[0].gpu) for r in after) == sorted(
        (r.llm, r.slices[0].gpu) for r in wanted
    )
    assert diff(after, wanted).none
    names = [replica.replica for replica in (*running, *changes.start)]
    assert len(set(names)) == len(names)
    assert set(changes.keep) | set(changes.stop) == set(running)
