"""What a gateway keeps of the calls that it records, and for how long."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from scepsy.core.record import Record

_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(gt=0)]


class RecordingOptions(Record, frozen=True, kw_only=True):
    """How calls are recorded.

    Attributes:
        redact: regular expressions (Python's). Whatever matches one is replaced by "[redacted]" in
            recorded content and errors, beside keys, tokens and passwords, which always are.
        file_bytes: size in bytes from which on a file is closed and another one begun.
        file_age: seconds after which a file is closed and another one begun.
        compress: compress closed files with gzip.
        keep_age: seconds for which calls are kept: a closed file is removed when its last record
            has this age. None keeps them for ever.
        keep_bytes: bytes that the files of gateways in the directory may have together: the oldest
            closed files are removed beyond it. None keeps all.
        sample: fraction of runs that are recorded. A hash of the run's identifier decides, so that
            a run is recorded whole or not at all, by every gateway. Calls of no known run are
            chosen one by one.
    """

    redact: tuple[str, ...] = ()
    file_bytes: _Count = 64_000_000
    file_age: _Positive = 86_400.0
    compress: bool = True
    keep_age: _Positive | None = None
    keep_bytes: _Count | None = None
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
