"""The diff converges, keeps what it can, never doubles a name, and knows what must stop first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.plan import Replica, Slice
from scepsy.deploy.all_at_once import Changes, diff, stopped_first
from scepsy.hardware.startable import SHARE_TOLERANCE


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


@st.composite
def fitting(draw: st.DrawFn) -> tuple[Replica, ...]:
    """Replicas on one or two of three GPUs, each of which has memory for all of its replicas."""
    sizes = st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(((0,), (1,), (2,), (0, 1), (1, 2))),
        st.sampled_from((0.2, 0.5, 1.0)),
    )
    placed: list[Replica] = []
    for llm, gpus, share in draw(st.lists(sizes, max_size=8)):
        one = Replica(
            replica=f"{llm}-{len(placed)}",
            llm=llm,
            tp=len(gpus),
            slices=tuple(
                Slice(node="n", gpu=gpu, gpu_share=share, memory_share=share) for gpu in gpus
            ),
        )
        if fits([*placed, one]):
            placed.append(one)
    return tuple(placed)


def fits(replicas: Iterable[Replica]) -> bool:
    memory = Counter[int]()
    for replica in replicas:
        for part in replica.slices:
            memory[part.gpu] += part.memory_share  # pyright: ignore[reportArgumentType]
    return all(share <= 1 + SHARE_TOLERANCE for share in memory.values())


@given(fitting(), fitting(), st.data())
def test_no_gpu_is_over_its_memory_in_the_order_of_a_change(
    running: tuple[Replica, ...], wanted: tuple[Replica, ...], data: st.DataObject
) -> None:
    names = [replica.replica for replica in running]
    outdated = data.draw(st.sets(st.sampled_from(names))) if names else set[str]()
    changes = diff(running, wanted, outdated)
    first = stopped_first(changes)
    during = [one for one in running if one not in first]
    assert fits(during + list(changes.start))
    assert set(first) <= set(changes.stop)
    assert set(changes.keep) <= set(during)


@given(fitting(), fitting())
def test_nothing_stops_first_that_could_serve_until_the_new_ones_do(
    running: tuple[Replica, ...], wanted: tuple[Replica, ...]
) -> None:
    changes = diff(running, wanted)
    first = stopped_first(changes)
    during = [one for one in running if one not in first]
    started = {part.gpu for one in changes.start for part in one.slices}
    for one in first:
        assert started & {part.gpu for part in one.slices}
        assert not fits([*during, one, *changes.start])


def test_of_those_in_the_way_the_largest_serves_on() -> None:
    def replica(name: str, share: float) -> Replica:
        part = Slice(node="n", gpu=0, gpu_share=share, memory_share=share)
        return Replica(replica=name, llm="a", tp=1, slices=(part,))

    small, large, new = replica("small", 0.3), replica("large", 0.5), replica("new", 0.4)
    changes = Changes(start=(new,), stop=(small, large), keep=())
    assert stopped_first(changes) == (small,)
