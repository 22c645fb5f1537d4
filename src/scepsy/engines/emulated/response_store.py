"""The responses of /v1/responses that an engine keeps, so that conversations go on from them.

As with vLLM, nothing is kept unless the environment has VLLM_ENABLE_RESPONSES_API_STORE=1.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

RESPONSES_MAX = 1_000
"""Responses that are kept; vLLM keeps all of them until it ends."""


@dataclass(slots=True)
class StoredResponse:
    """One response: its JSON, the conversation up to and with it, and the work that makes it."""

    fields: dict[str, object]
    turns: Sequence[tuple[str, str]] = ()
    work: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ResponseStore:
    enabled: bool = False
    _kept: OrderedDict[str, StoredResponse] = field(
        default_factory=OrderedDict[str, StoredResponse]
    )

    def get(self, name: str) -> StoredResponse | None:
        return self._kept.get(name)

    def put(self, name: str, stored: StoredResponse) -> None:
        if self.enabled:
            self._kept[name] = stored
            if len(self._kept) > RESPONSES_MAX:
                self._kept.popitem(last=False)
