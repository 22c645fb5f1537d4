"""The blocks of a paged KV cache: private ones, shared prefixes, and the eviction of what nobody
uses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import NamedTuple

Hashes = tuple[int, ...]
"""Of a prompt's blocks. Each chains over all that precedes it: equal ones follow equal ones."""


class RadixNode:
    """Shared blocks that follow one another: those from `start` to `stop` of every prompt that has
    them, as `hashes` does. `before` and `after`, by the first hash, are stretches too.

    `users` counts the sequences whose shared blocks end with this stretch, and what is held after
    it. Without users it is idle, and so is all after it.
    """

    __slots__ = ("after", "before", "hashes", "start", "stop", "users")

    def __init__(self, hashes: Hashes, start: int, stop: int, before: RadixNode | None) -> None:
        self.hashes = hashes
        self.start = start
        self.stop = stop
        self.users = 0
        self.before = before or self
        self.after: dict[int, RadixNode] = {}

    @property
    def size(self) -> int:
        return self.stop - self.start


def root_node() -> RadixNode:
    """What a sequence holds that shares no blocks, and where all prompts begin; never idle."""
    root = RadixNode((), 0, 0, None)
    root.users = 1
    return root


class PrefixMatch(NamedTuple):
    """The first `blocks` blocks of a prompt are here; the last of them is in the stretch `end`."""

    end: RadixNode
    blocks: int


class KvCache:
    """Counts the blocks of a KV cache of `capacity` blocks.

    A block is private to one sequence, or shared under its hash. A shared block that nobody holds
    stays until its room is needed; the one let go of longest ago goes first, and of a prompt's the
    last: a prefix outlives what follows it. `held + idle <= capacity` always.

    Who holds a block holds all before it. So shared blocks are kept as a tree of stretches (a radix
    tree), and what a sequence costs does not depend on how long its prompt is.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        """Blocks that some sequence holds."""
        self.idle = 0
        """Blocks that nobody holds and a coming prompt may still share."""
        self.root = root_node()
        self._none = PrefixMatch(self.root, 0)
        self._idle: OrderedDict[RadixNode, None] = OrderedDict()

    @property
    def available(self) -> int:
        """Blocks that can be had, by eviction if need be."""
        return self.capacity - self.held

    def match(self, prompt: Hashes, most: int) -> PrefixMatch:
        """How many of the first `most` blocks of a prompt are here."""
        if not prompt:
            return self._none
        return _follow(self.root, prompt, min(most, len(prompt)))

    def take(self, private: int) -> bool:
        """Hold new blocks; all or, returning False, none."""
        if self.held + private > self.capacity:
            return False
        self.held += private
        if self.idle:
            self._evict(self.held + self.idle - self.capacity)
        return True

    def admit(self, found: PrefixMatch, private: int) -> RadixNode | None:
        """Hold what was just found and new blocks; all or, returning None, none."""
        waking, idle = 0, found.end
        while not idle.users:
            waking += min(idle.stop, found.blocks) - idle.start
            idle = idle.before
        if self.held + waking + private > self.capacity:
            return None
        held = self._hold(found)
        self.take(private)
        return held

    def share(self, held: RadixNode, prompt: Hashes, stop: int) -> RadixNode:
        """Who holds the blocks of a prompt as far as `held` goes, and those from there to `stop`
        privately, holds them all as shared ones now; of equal blocks, one is kept.
        """
        self.held -= stop - held.stop
        found = _follow(held, prompt, stop)
        if found.blocks < stop:
            found = PrefixMatch(self._append(found, prompt, stop), stop)
        longer = self._hold(found)
        held.users -= 1
        return longer

    def give(self, shared: RadixNode, private: int) -> None:
        """Let go of blocks."""
        self.held -= private
        shared.users -= 1
        while not shared.users:
            self._idle[shared] = None
            self.held -= shared.size
            self.idle += shared.size
            shared = shared.before
            shared.users -= 1

    def _hold(self, found: PrefixMatch) -> RadixNode:
        held = waking = self._cut(found)
        waking.users += 1
        while waking.users == 1:
            self._idle.pop(waking, None)
            self.idle -= waking.size
            self.held += waking.size
            waking = waking.before
            waking.users += 1
        return held

    def _append(self, found: PrefixMatch, prompt: Hashes, stop: int) -> RadixNode:
        """A new stretch after what was found; idle, but not for eviction: it is held at once."""
        before = self._cut(found)
        new = before.after[prompt[before.stop]] = RadixNode(prompt, before.stop, stop, before)
        self.idle += new.size
        return new

    def _cut(self, found: PrefixMatch) -> RadixNode:
        """The stretch that ends with what was found. What follows keeps its users and its place
        among the idle; what ends here has none of its own, and is held or appended to at once.
        """
        rest, blocks = found
        if blocks == rest.stop:
            return rest
        head = RadixNode(rest.hashes, rest.start, blocks, rest.before)
        head.users = 1 if rest.users else 0
        head.after[rest.hashes[blocks]] = rest
        head.before.after[rest.hashes[rest.start]] = head
        rest.start, rest.before = blocks, head
        return head

    def _evict(self, blocks: int) -> None:
        while blocks > 0:
            oldest = next(iter(self._idle))
            gone = min(blocks, oldest.size)
            oldest.stop -= gone
            self.idle -= gone
            blocks -= gone
            if not oldest.size:
                del self._idle[oldest]
                del oldest.before.after[oldest.hashes[oldest.start]]


def _follow(held: RadixNode, prompt: Hashes, most: int) -> PrefixMatch:
    """As far as the first `most` blocks of a prompt, which begins with `held`, are here."""
    blocks = held.stop
    while blocks < most:
        after = held.after.get(prompt[blocks])
        if after is None:
            break
        stop = min(after.stop, most)
        hashes = after.hashes
        if prompt[stop - 1] != hashes[stop - 1]:
            differs = bisect_left(
                range(stop), True, blocks + 1, stop - 1, key=lambda at: prompt[at] != hashes[at]
            )
            return PrefixMatch(after, differs)
        held, blocks = after, stop
    return PrefixMatch(held, blocks)
