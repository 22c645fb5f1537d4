"""The block cache: sharing, eviction, capacity."""

from __future__ import annotations

from scepsy.core.llm import LlmSpec
from scepsy.sim.kv import KvCache, kv_capacity


def test_what_is_let_go_can_still_be_shared_until_its_room_is_needed() -> None:
    cache = KvCache(4)
    assert cache.take((), 3)
    cache.share((1, 2, 3))
    cache.give([1, 2, 3], 0)
    assert (cache.held, cache.idle, cache.match([1, 2, 3, 4])) == (0, 3, 3)
    assert cache.take((), 2)
    assert cache.match([1, 2, 3]) == 2


def test_taking_is_all_or_nothing() -> None:
    cache = KvCache(2)
    assert cache.take((), 1)
    cache.share((7,))
    cache.give([7], 0)
    assert not cache.take([7], 2)
    assert (cache.held, cache.match([7])) == (0, 1)
    assert cache.take([7], 1)
    assert cache.available == 0


def test_one_block_many_holders() -> None:
    cache = KvCache(2)
    assert cache.take((), 2)
    cache.share((7,))
    cache.share((7,))
    assert cache.held == 1
    cache.give([7], 0)
    assert cache.held == 1
    cache.give([7], 0)
    assert (cache.held, cache.idle) == (0, 1)


def test_capacity_is_what_weights_leave() -> None:
    llm = LlmSpec(name="x", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)
    assert kv_capacity(llm, tp=1, memory_share=1.0, gpu_memory=80e9) == 476_064
    assert kv_capacity(llm, tp=1, memory_share=0.2, gpu_memory=80e9) < 0
    assert kv_capacity(llm, tp=2, memory_share=0.2, gpu_memory=80e9) > 0
