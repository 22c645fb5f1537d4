"""Lets calls in by their API keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scepsy.gateway.access.api_keys import ApiKey, presented
from scepsy.gateway.access.key_directory import KeyDirectory, invalid_key
from scepsy.gateway.access.limiter import Decision, KeyedCall, Limiter, NotAllowed
from scepsy.gateway.wire.errors import ErrorAnswer

_CHARS_PER_TOKEN = 4
"""To estimate the tokens of an answered call whose engine did not tell them."""


@dataclass(slots=True)
class Permit:
    """A call that was let in. It must be given back with `end`."""

    key: ApiKey
    call: KeyedCall
    _limiter: Limiter
    _clock: Callable[[], float]

    @property
    def counts_tokens(self) -> bool:
        """Whether the call's tokens must be known."""
        return self.key.limits.tokens_per_minute is not None

    def end(self, tokens: int | None, body_bytes: int) -> None:
        """The call has ended. Where its tokens are unknown, those of its body are estimated."""
        used = body_bytes // _CHARS_PER_TOKEN if tokens is None else tokens
        self._limiter.ended(self.key, self.call, used, self._clock())


@dataclass(slots=True)
class Gate:
    """Checks keys and their limits. `clock` gives seconds that only grow."""

    directory: KeyDirectory
    clock: Callable[[], float]
    _limiter: Limiter = field(default_factory=Limiter)

    async def key_of(self, headers: Mapping[str, str]) -> ApiKey | ErrorAnswer:
        """The key that a request presents, or the error to answer."""
        secret = presented(headers)
        return invalid_key() if secret is None else await self.directory.find(secret)

    def enter(self, key: ApiKey, call: KeyedCall) -> Permit | ErrorAnswer:
        """Lets the call in, or says why not."""
        decision = self._limiter.decide(key, call, self.clock())
        if decision is not None:
            return refused(decision)
        return Permit(key, call, self._limiter, self.clock)


def refused(decision: Decision) -> ErrorAnswer:
    """The answer to a call that the limiter did not admit."""
    assert decision is not None
    if isinstance(decision, NotAllowed):
        return ErrorAnswer(
            403,
            f"this API key may not use the {decision.what} {decision.name!r}",
            "permission_denied",
            decision.what if decision.what == "model" else None,
        )
    return ErrorAnswer(
        429,
        f"this API key may have {decision.limit:g} {decision.what}; try again later",
        "rate_limit_exceeded",
        None,
        math.ceil(decision.retry_after),
    )
