"""A mapping that is bounded in number, size and age: it forgets the least recently used entries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

REMEMBERED = 86_400.0
"""Seconds after its last use for which an entry is kept: a conversation may go on the next day."""

BYTES_MAX = 32 << 20
"""Of one mapping, as estimated from its names and `ENTRY_BYTES`."""

ENTRY_BYTES = 256
"""Of an entry beside its names: the mapping's own slot, and the heads of small objects."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    size: int
    used: float


class Recent(Generic[K, V]):
    """The entries that were read or written last: at most `most`, of at most `bytes_max` bytes
    together, and none that was unused for more than `seconds`. It has no clock: `now` must not
    decrease, or entries are kept longer.

    `size` returns the bytes of an entry's variable parts.
    """

    __slots__ = ("_bytes", "_bytes_max", "_entries", "_most", "_seconds", "_size")

    def __init__(
        self,
        most: int,
        size: Callable[[K, V], int],
        *,
        bytes_max: int = BYTES_MAX,
        seconds: float = REMEMBERED,
    ) -> None:
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._most = most
        self._size = size
        self._bytes_max = bytes_max
        self._seconds = seconds
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Estimated size of all entries."""
        return self._bytes

    def get(self, key: K, now: float) -> V | None:
        """The value of an entry, which counts as used; None if there is none."""
        self.forget(now)
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.used = now
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: K, value: V, now: float) -> None:
        """Adds or replaces an entry. One that is larger than all may be together is not kept."""
        self.forget(now)
        self._drop(key)
        size = ENTRY_BYTES + self._size(key, value)
        if size > self._bytes_max:
            return
        self._entries[key] = _Entry(value, size, now)
        self._bytes += size
        while len(self._entries) > self._most or self._bytes > self._bytes_max:
            self._drop(next(iter(self._entries)))

    def forget(self, now: float) -> None:
        """Drops the entries that are too old. Reading and writing do so, too."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if now - entry.used <= self._seconds:
                return
            self._drop(key)

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
