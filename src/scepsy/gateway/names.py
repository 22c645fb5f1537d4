"""Names that come from outside: of runs, workflows, models and replicas.

Every name is checked once, where it enters the gateway. What is kept after that can be printed,
encoded and written to a file, and takes little memory.
"""

from __future__ import annotations

from hashlib import blake2b

NAME_BYTES_MAX = 256
"""Of a name in UTF-8."""

_REPLACED = "\N{REPLACEMENT CHARACTER}"  # stands for bytes that were not UTF-8
_KEPT_CHARS = 48  # of a name that is refused


def is_name(text: str) -> bool:
    """Whether this is printable text of 1 to `NAME_BYTES_MAX` bytes without spaces around it. It
    has no control characters, no lone surrogates, and nothing that changes the writing direction.
    """
    if not text.isprintable() or text.strip() != text or _REPLACED in text:
        return False
    return 0 < len(text) <= NAME_BYTES_MAX and len(text.encode()) <= NAME_BYTES_MAX


def name_instead(text: str) -> str:
    """A sound name to show in place of one that is not: its beginning, escaped, and a hash. A sound
    name is returned as it is.
    """
    if is_name(text):
        return text
    begin = "".join(
        one if one.isprintable() and one != _REPLACED else ascii(one)[1:-1]
        for one in text[:_KEPT_CHARS]
    )
    raw = text.encode("utf-8", "surrogatepass")
    return f"{begin[:_KEPT_CHARS].strip()}...({blake2b(raw, digest_size=4).hexdigest()})"
