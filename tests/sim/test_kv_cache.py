"""The block cache: sharing, eviction, capacity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.llm import LlmSpec
from scepsy.hardware.memory import kv_capacity
from scepsy.sim.engine.kv_cache import KvCache, RadixNode


def filled(cache: KvCache, prompt: tuple[int, ...]) -> RadixNode:
    """A sequence comes and computes its whole prompt."""
    found = cache.match(prompt, len(prompt))
    held = cache.admit(found, len(prompt) - found.blocks)
    assert held is not None
    return held if held.stop == len(prompt) else cache.share(held, prompt, len(prompt))


def test_what_is_let_go_can_still_be_shared_until_its_room_is_needed() -> None:
    cache = KvCache(4)
    cache.give(filled(cache, (1, 2, 3)), 0)
    assert (cache.held, cache.idle, cache.match((1, 2, 3, 4), 4).blocks) == (0, 3, 3)
    assert cache.take(2)
    assert cache.match((1, 2, 3), 3).blocks == 2


def test_taking_is_all_or_nothing() -> None:
    cache = KvCache(2)
    cache.give(filled(cache, (7,)), 0)
    assert cache.admit(cache.match((7,), 1), 2) is None
    assert (cache.held, cache.match((7,), 1).blocks) == (0, 1)
    assert cache.admit(cache.match((7,), 1), 1) is not None
    assert cache.available == 0


def test_one_block_many_holders() -> None:
    cache = KvCache(2)
    assert cache.take(2)
    holders = [cache.share(cache.root, (7,), 1) for _ in range(2)]
    assert cache.held == 1
    cache.give(holders[0], 0)
    assert cache.held == 1
    cache.give(holders[1], 0)
    assert (cache.held, cache.idle) == (0, 1)


class BlockByBlock:
    """The same cache, told in the simplest way: who holds each block, and who let go of it when."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.private = 0
        self.holders: dict[int, int] = {}
        self.idle: dict[int, None] = {}

    @property
    def held(self) -> int:
        return self.private + len(self.holders)

    def match(self, prompt: tuple[int, ...], most: int) -> int:
        here = [block in self.holders or block in self.idle for block in prompt[:most]]
        return (*here, False).index(False)

    def admit(self, prompt: tuple[int, ...], private: int) -> bool:
        waking = sum(block in self.idle for block in prompt)
        if self.held + waking + private > self.capacity:
            return False
        self.hold(prompt)
        self.private += private
        while self.held + len(self.idle) > self.capacity:
            del self.idle[next(iter(self.idle))]
        return True

    def hold(self, prompt: tuple[int, ...]) -> None:
        for block in prompt:
            self.holders[block] = self.holders.get(block, 0) + 1
            self.idle.pop(block, None)

    def give(self, shared: tuple[int, ...], private: int) -> None:
        self.private -= private
        for block in reversed(shared):
            self.holders[block] -= 1
            if not self.holders[block]:
                del self.holders[block]
                self.idle[block] = None


@st.composite
def prompts(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Hashes that chain: each prompt goes on from some place in one before it."""
    found: list[tuple[int, ...]] = [()]
    for number in range(1, draw(st.integers(2, 7))):
        stem = draw(st.sampled_from(found))
        kept = stem[: draw(st.integers(0, len(stem)))]
        found.append((*kept, *range(100 * number, 100 * number + draw(st.integers(0, 9)))))
    return found


@given(
    prompts(),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 12), st.integers(0, 3)), max_size=40),
)
def test_stretches_are_as_good_as_single_blocks(
    known: list[tuple[int, ...]], capacity: int, steps: list[tuple[int, int, int]]
) -> None:
    """Sequences come, compute more of their prompts, and go, in any order."""
    cache, simple = KvCache(capacity), BlockByBlock(capacity)
    inside: list[tuple[tuple[int, ...], int, RadixNode]] = []
    for which, amount, what in steps:
        if what < 2 or not inside:
            prompt = known[which % len(known)]
            found = cache.match(prompt, amount)
            assert found.blocks == simple.match(prompt, amount)
            held = cache.admit(found, amount)
            assert (held is not None) == simple.admit(prompt[: found.blocks], amount)
            if held is not None:
                inside.append((prompt, amount, held))
        else:
            prompt, private, held = inside.pop(which % len(inside))
            stop = min(len(prompt), held.stop + private, held.stop + amount)
            if what == 2 and stop > held.stop:
                simple.private -= stop - held.stop
                simple.hold(prompt[held.stop : stop])
                private -= stop - held.stop
                inside.append((prompt, private, cache.share(held, prompt, stop)))
            else:
                simple.give(prompt[: held.stop], private)
                cache.give(held, private)
        assert (cache.held, cache.idle) == (simple.held, len(simple.idle))
        assert cache.held + cache.idle <= capacity
    for prompt in known:
        assert cache.match(prompt, 99).blocks == simple.match(prompt, 99)


def test_capacity_is_what_weights_leave() -> None:
    llm = LlmSpec(name="x", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)
    assert kv_capacity(llm, tp=1, memory_share=1.0, gpu_memory=80e9) == 476_064
    assert kv_capacity(llm, tp=1, memory_share=0.2, gpu_memory=80e9) < 0
    assert kv_capacity(llm, tp=2, memory_share=0.2, gpu_memory=80e9) > 0
