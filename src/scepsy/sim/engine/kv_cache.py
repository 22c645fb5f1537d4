"""The blocks of a paged KV cache: private blocks, shared prefixes, and the eviction of unused
ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import NamedTuple

Hashes = tuple[int, ...]
"""Hashes of a prompt's blocks. Each covers all blocks before it, so equal hashes mean equal
prefixes.
"""


class RadixNode:
    """A node of the radix tree of shared prefixes: consecutive blocks, from `start` to `stop` of
    every prompt that contains them. `hashes` covers the same range. `before` is the parent; `after`
    holds the children by their first hash.

    `users` counts the sequences whose shared blocks end with this node, and the children that are
    in use. A node without users is idle, and so are all nodes after it.
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
    """The node where all prompts begin, held by sequences that share no blocks. It is never
    idle.
    """
    root = RadixNode((), 0, 0, None)
    root.users = 1
    return root


class PrefixMatch(NamedTuple):
    """The first `blocks` blocks of a prompt are cached; the last of them is in the node `end`."""

    end: RadixNode
    blocks: int


class KvCache:
    """Counts the blocks of a KV cache of `capacity` blocks.

    A block is private to one sequence, or shared under its hash. A shared block that no sequence
    holds stays until its space is needed. The least recently used one is evicted first, and the end
    of a prompt before its beginning, so that a prefix outlives what follows it. Always `held + idle
    <= capacity`.

    A sequence that holds a block holds all blocks before it. So shared blocks are kept in a radix
    tree, and the cost of a sequence does not depend on the length of its prompt.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        """Blocks that at least one sequence holds."""
        self.idle = 0
        """Blocks that no sequence holds, kept for later prompts that may share them."""
        self.root = root_node()
        self._none = PrefixMatch(self.root, 0)
        self._idle: OrderedDict[RadixNode, None] = OrderedDict()

    @property
    def available(self) -> int:
        """Blocks that can be taken, if necessary by eviction."""
        return self.capacity - self.held

    def match(self, prompt: Hashes, most: int) -> PrefixMatch:
        """How many of the first `most` blocks of a prompt are cached."""
        if not prompt:
            return self._none
        return _follow(self.root, prompt, min(most, len(prompt)))

    def take(self, private: int) -> bool:
        """Takes `private` new blocks. Takes none and returns False if there are too few."""
        if self.held + private > self.capacity:
            return False
        self.held += private
        if self.idle:
            self._evict(self.held + self.idle - self.capacity)
        return True

    def admit(self, found: PrefixMatch, private: int) -> RadixNode | None:
        """Takes the blocks that were found and `private` new ones. Takes none and returns None if
        there are too few.
        """
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
        """Turns the private blocks of a prompt, from the end of `held` to `stop`, into shared ones.
        Of blocks that are cached already, one copy is kept.
        """
        self.held -= stop - held.stop
        found = _follow(held, prompt, stop)
        if found.blocks < stop:
            found = PrefixMatch(self._append(found, prompt, stop), stop)
        longer = self._hold(found)
        held.users -= 1
        return longer

    def give(self, shared: RadixNode, private: int) -> None:
        """Releases blocks."""
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
        """A new node after the blocks that were found. It is not offered for eviction: it is held
        at once.
        """
        before = self._cut(found)
        new = before.after[prompt[before.stop]] = RadixNode(prompt, before.stop, stop, before)
        self.idle += new.size
        return new

    def _cut(self, found: PrefixMatch) -> RadixNode:
        """Splits a node where the match ends, and returns the first part. The second part keeps its
        users and its place among the idle nodes. The first part has no users of its own; the caller
        holds it or appends to it at once.
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
    """How far the first `most` blocks of a prompt are cached, starting after `held`."""
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
