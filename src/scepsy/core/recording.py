"""What a gateway keeps of the calls that it records."""

from __future__ import annotations

from scepsy.core.record import Record


class RecordingOptions(Record, frozen=True, kw_only=True):
    """How calls are recorded.

    Attributes:
        redact: regular expressions (Python's). Whatever matches one is replaced by "[redacted]" in
            recorded content and errors, beside keys, tokens and passwords, which always are.
    """

    redact: tuple[str, ...] = ()
