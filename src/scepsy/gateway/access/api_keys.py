"""API keys: what they are, and what each may do (pure)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from scepsy.core.record import Record

PREFIX = "sk-scepsy-"
"""Begin of every key, by which tools that look for leaked secrets recognise it."""

SECRET_BYTES = 32

Count = Annotated[int, Meta(gt=0)]
Rate = Annotated[float, Meta(gt=0)]


class KeyLimits(Record, frozen=True, kw_only=True):
    """What one key may do. None does not limit.

    Attributes:
        workflows, llms: names that its calls may have.
        requests_per_minute: calls that may begin within a minute, on average.
        tokens_per_minute: tokens of prompts and answers together, on average. They are counted when
            a call ends, so calls that run together may overdraw it; later ones then wait.
        calls_at_once: calls in flight.
        runs_at_once: runs with a call in flight, or whose last call ended less than a minute ago.
    """

    workflows: tuple[str, ...] | None = None
    llms: tuple[str, ...] | None = None
    requests_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    calls_at_once: Count | None = None
    runs_at_once: Count | None = None


class KeyHash(Record, frozen=True, kw_only=True):
    """The SHA-256 of a key, and when it stops to work (Unix seconds; None never).

    A key has 256 random bits, so nobody can find it from the hash, however fast hashing is.
    """

    digest: str
    expires: float | None = None


class ApiKey(Record, frozen=True, kw_only=True):
    """A key without its secret. Times are Unix seconds.

    Attributes:
        id: what commands name it by.
        name: whose it is, for people.
        hashes: the secrets that open it: two for a while after it was rotated.
        revoked: when it was revoked; None where it works.
    """

    id: str
    name: str
    hashes: tuple[KeyHash, ...]
    limits: KeyLimits = KeyLimits()
    created: float = 0.0
    revoked: float | None = None

    def opened_by(self, digest: str, now: float) -> bool:
        """Whether a secret with this digest works now."""
        return self.revoked is None and any(
            one.digest == digest and (one.expires is None or now < one.expires)
            for one in self.hashes
        )


def new_secret() -> str:
    """A new key. It is shown once, and only its digest is kept."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def new_id() -> str:
    return secrets.token_hex(4)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def presented(headers: Mapping[str, str]) -> str | None:
    """The key that a request presents: as OpenAI's clients do, as Anthropic's do (`x-api-key`), or
    as Azure's do (`api-key`). `headers` must find names whatever their case.
    """
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key") or headers.get("api-key") or None
