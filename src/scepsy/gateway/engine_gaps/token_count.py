"""Counts a prompt's tokens by asking llama.cpp, which has the tokenizer and chat template."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import msgspec

from scepsy.gateway.wire.lenient_json import Json, elements, members, parse, text
from scepsy.gateway.wire.prompts import prompt_text
from scepsy.gateway.wire.requests import ApiRequest
from scepsy.gateway.wire.token_ids import TokenIds

TEMPLATE_TOKENS = 64
"""Upper bound of the tokens that a chat template adds to one message."""

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)  # seconds; afterwards the engine decides itself


def surely_fits(asked: ApiRequest, context: int) -> bool:
    """Whether prompt and wanted output fit into the context under any tokenizer: none makes more
    tokens of a text than it has bytes.
    """
    messages = len(elements(asked.fields.get("messages")))
    prompt = len(prompt_text(asked.endpoint, asked.fields).encode("utf-8", "surrogatepass"))
    most = prompt + TEMPLATE_TOKENS * (messages + 1)
    return most + (asked.max_tokens or 0) <= context


@dataclass(frozen=True, slots=True)
class LlamaCppCounter:
    """Counts by POST /apply-template and POST /tokenize of llama.cpp's server."""

    session: aiohttp.ClientSession

    async def count(self, url: str, asked: ApiRequest) -> int | None:
        """Tokens of the prompt; None if they cannot be counted, or there are several prompts."""
        if asked.endpoint == "chat":
            body = {k: v for k, v in asked.fields.items() if k not in ("stream", "model")}
            prompt = text((await self._ask(f"{url}/apply-template", body)).get("prompt"))
        else:
            said = asked.fields.get("prompt")
            if isinstance(said, TokenIds):
                return said.tokens
            if isinstance(said, list):
                return len(said) if all(type(one) is int for one in said) else None
            prompt = text(said)
        if prompt is None:
            return None
        asking: dict[str, Json] = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = (await self._ask(f"{url}/tokenize", asking)).get("tokens")
        return len(tokens) if isinstance(tokens, list) else None

    async def _ask(self, url: str, body: dict[str, Json]) -> dict[str, Json]:
        """The engine's answer; empty if there is none, or its status is not 200."""
        headers = {"Content-Type": "application/json"}
        data = msgspec.json.encode(body)
        try:
            async with self.session.post(
                url, data=data, headers=headers, timeout=_TIMEOUT
            ) as response:
                return members(parse(await response.read())) if response.status == 200 else {}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return {}
