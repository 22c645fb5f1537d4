"""What the gateway refuses in an engine's stead, and that it refuses nothing else."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.gateway_peers import CHAT, completion, peer, says, send
from scepsy.core.llm import EngineKind
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.engine_gaps.token_count import surely_fits
from scepsy.gateway.engine_gaps.vllm_rules import asks_too_much, refused_by_vllm
from scepsy.gateway.server import running
from scepsy.gateway.wire.requests import ApiRequest

SAID = [{"role": "user", "content": "hello"}]
GOOD = {"model": "m", "messages": SAID, "max_tokens": 1, "temperature": 0}
BAD = [
    {"messages": []},
    {"messages": "hello"},
    {"messages": ["hello"]},
    {"messages": [{"content": "hello"}]},
    {"max_tokens": 0},
    {"max_completion_tokens": -1},
    {"temperature": -0.1},
    {"max_tokens": 100_000},
]


async def sent(http: aiohttp.ClientSession, engine: EngineKind | None, body: object) -> int:
    async with peer(says(completion())) as one:
        route = Route(llm="m", replica="m-0", url=one.url, engine=engine, max_context=4096)
        async with running(GatewayConfig(routes=(route,))) as gateway:
            back = await send(http, gateway.url + CHAT, body)
    assert one.paths.count(CHAT) == (back.status == 200)
    if back.status != 200:
        assert back.json()["error"]["message"]
    return back.status


@pytest.mark.parametrize("bad", BAD)
async def test_a_request_that_only_a_lenient_engine_accepts_is_refused(
    bad: dict[str, object], http: aiohttp.ClientSession
) -> None:
    assert await sent(http, "llamacpp", {**GOOD, **bad}) == 400


@pytest.mark.parametrize("engine", ["vllm", "endpoint", None])
async def test_a_strict_or_unknown_engine_gets_every_request(
    engine: EngineKind | None, http: aiohttp.ClientSession
) -> None:
    assert await sent(http, engine, {**GOOD, "max_tokens": 0}) == 200


async def test_an_engine_that_cannot_count_decides_itself(http: aiohttp.ClientSession) -> None:
    """The peer knows no /tokenize: too long for sure is refused, else the engine is asked."""
    long = [{"role": "user", "content": "x" * 5000}]
    assert await sent(http, "llamacpp", {**GOOD, "messages": long}) == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "ipython", "content": "x"}]},
        {"messages": SAID, "max_tokens": None, "temperature": None},
        {"messages": SAID, "max_tokens": "many"},
    ],
)
def test_requests_that_the_check_leaves_to_vllm_pass(fields: dict[str, object]) -> None:
    assert refused_by_vllm(ApiRequest("chat", "m", False, fields)) is None  # pyright: ignore


def test_a_prompt_may_be_scored_without_output() -> None:
    body: dict[str, object] = {"prompt": "x", "max_tokens": 0}
    assert refused_by_vllm(ApiRequest("completions", "m", False, body)) is not None  # pyright: ignore
    scored = {**body, "echo": True}
    assert refused_by_vllm(ApiRequest("completions", "m", False, scored)) is None  # pyright: ignore


@given(st.text(max_size=200), st.integers(1, 400), st.integers(1, 600))
def test_a_prompt_that_surely_fits_is_never_refused(said: str, limit: int, context: int) -> None:
    fields = {"messages": [{"role": "user", "content": said}], "max_tokens": limit}
    asked = ApiRequest("chat", "m", False, fields)  # pyright: ignore[reportArgumentType]
    if surely_fits(asked, context):
        assert asks_too_much(asked, len(said.encode()), context) is None
