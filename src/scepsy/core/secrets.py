"""Hides secrets in whatever is recorded, logged, printed or answered: keys, tokens, passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "[redacted]"

SECRET_CHARS_MIN = 8
"""Characters of the shortest credentials that are looked for. Shorter ones, such as "EMPTY", stand
for none, and occur in other words.
"""

_CREDENTIALS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key")

_PATTERNS = (
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/-]{8,}=*"),
    re.compile(r"(?i)(?<=\bbasic )[\w+/]{8,}=*"),
    re.compile(r"\b(?:sk|pk|rk)-[\w-]{16,}"),  # OpenAI, Anthropic, LiteLLM, Langfuse
    re.compile(r"\b(?:hf_|gh[opsu]_|xox[abp]-|AKIA|AIza)[\w-]{12,}"),
    re.compile(r"(?<=://)[^\s/@\"'\\]{1,256}(?=@)"),  # user and password of a URL
)


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """The text without what looks like a key, a token or the credentials of a URL, and without the
    secrets that are known.
    """
    for secret in known:
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return text


def public_url(url: str) -> str:
    """The URL without credentials, and without its query, which may hold a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return without_secrets(url)
    place = parts.netloc.rpartition("@")[2]
    hidden = f"{HIDDEN}@{place}" if place != parts.netloc else place
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, hidden, parts.path, query, ""))


def credentials(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The keys and tokens in a request's headers."""
    values = (headers.get(name) for name in _CREDENTIALS)
    # The last word: without "Bearer" or "Basic".
    found = (value.split()[-1] for value in values if value and not value.isspace())
    return tuple(one for one in found if len(one) >= SECRET_CHARS_MIN)
