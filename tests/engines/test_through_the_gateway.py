"""Every engine behind the gateway keeps the whole contract, the strict cases included."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import pytest

from engines.test_emulated_contract import LLM
from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines import Capabilities, EngineProcess, engine_for
from scepsy.gateway.config import Route
from scepsy.testing.engine_calls import chat, chat_body, refused
from scepsy.testing.gateway_contract import GatewayContract

KEY = "THE_ENDPOINTS_KEY"


class TestEmulatedThroughTheGateway(GatewayContract):
    kind = "emulated"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        return msgspec.structs.replace(LLM, name=kind, kind=kind)


class TestLlamaCppThroughTheGateway(GatewayContract):
    kind = "llamacpp"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        return LlmSpec(
            name=kind,
            engine="llamacpp",
            kind=kind,
            model_path="tiny-random",
            max_context=1024,
            max_sequences=4,
        )

    async def test_what_fits_is_never_refused(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        """Up to the last token: the gateway counts as the engine does."""
        text = "count me " * 150
        short = await chat(http, generator, content=text, max_tokens=1)
        left = 1024 - short["usage"]["prompt_tokens"]
        assert 0 < left < 1000
        answer = await chat(http, generator, content=text, max_tokens=left)
        assert answer["usage"]["total_tokens"] <= 1024
        body = chat_body(content=text, max_tokens=left + 1)
        await refused(http, generator, msgspec.json.encode(body), statuses=(400,))


class TestEndpoint(GatewayContract):
    """An endpoint in front of which we only stand: an emulated engine that we are not told of."""

    kind = "emulated"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        return msgspec.structs.replace(LLM, name=kind, kind=kind)

    @classmethod
    def capabilities(cls) -> Capabilities:
        return replace(engine_for("emulated").capabilities, metrics=False)

    @classmethod
    def route(cls, kind: LlmKind, folder: Path, engine: EngineProcess) -> Route:
        url = f"{engine.url}/v1"
        return Route(llm=kind, replica="there", url=url, engine="endpoint", api_key_env=KEY)

    @classmethod
    @contextmanager
    def serving(cls, kind: LlmKind, folder: Path) -> Generator[EngineProcess]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(KEY, "secret")
            with super().serving(kind, folder) as gateway:
                yield gateway
