"""The base of every persisted record."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that can be written to a file and read back.

    An unknown field is refused on reading.

    Subclasses repeat `frozen=True, kw_only=True`: neither is inherited in the eyes of a type
    checker.
    """
