"""Endpoints about the emulated engine itself: health, models, metrics, version, token counts."""

from __future__ import annotations

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.chat import Message, chat_prompt
from scepsy.engines.emulated.generation.text import PIECE, count_tokens, token_ids
from scepsy.engines.emulated.served import ServedLlm
from scepsy.engines.emulated.version import VERSION
from scepsy.engines.emulated.wire.bodies import MALFORMED, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused


class TokenizeBody(msgspec.Struct):
    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None


class DetokenizeBody(msgspec.Struct):
    tokens: list[int]
    model: str | None = None


_decoder = msgspec.json.Decoder(TokenizeBody)
_detokenize_decoder = msgspec.json.Decoder(DetokenizeBody)


async def health(_request: web.Request, _llm: ServedLlm) -> web.Response:
    return web.Response()


async def version(_request: web.Request, _llm: ServedLlm) -> web.Response:
    return reply({"version": f"scepsy-emulated-{VERSION}"})


async def models(_request: web.Request, llm: ServedLlm) -> web.Response:
    card = {
        "id": llm.spec.name,
        "object": "model",
        "created": 0,
        "owned_by": "scepsy",
        "root": llm.spec.name,
        "parent": None,
        "max_model_len": llm.context,
    }
    return reply({"object": "list", "data": [card]})


async def tokenize(request: web.Request, llm: ServedLlm) -> web.Response:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    if body.messages is not None:
        count = chat_prompt(body.messages).tokens
        return reply({"count": count, "max_model_len": llm.context, "tokens": None})
    if body.prompt is None:
        raise RequestRefused("give a prompt or messages", param="body.prompt", kind=MALFORMED)
    ids = token_ids(body.prompt)
    count = count_tokens(body.prompt)
    return reply({"count": count, "max_model_len": llm.context, "tokens": ids})


async def detokenize(request: web.Request, llm: ServedLlm) -> web.Response:
    """A token's id is a hash, so the text is made up: as long as the tokens, and the same for the
    same ids.
    """
    body = read_json(await request.read(), _detokenize_decoder)
    llm.check_name(body.model)
    return reply({"prompt": "".join(f"{one % 10_000:04d}"[:PIECE] for one in body.tokens)})


async def metrics(_request: web.Request, llm: ServedLlm) -> web.Response:
    """Prometheus text with vLLM's metric names, and our own for numbers that vLLM does not have."""
    engine, counters = llm.pacer.engine, llm.pacer.engine.counters
    kv_usage = engine.kv.held / engine.kv.capacity
    values = (
        ("gauge", "vllm:num_requests_running", engine.running),
        ("gauge", "vllm:num_requests_waiting", engine.waiting),
        ("gauge", "vllm:kv_cache_usage_perc", kv_usage),
        ("counter", "vllm:prefix_cache_queries_total", counters.prefix_queries),
        ("counter", "vllm:prefix_cache_hits_total", counters.prefix_hits),
        ("counter", "vllm:prompt_tokens_total", counters.prompt_tokens),
        ("counter", "vllm:generation_tokens_total", counters.generation_tokens),
        ("counter", "vllm:num_preemptions_total", counters.preemptions),
        ("counter", "scepsy_emulated:steps_total", counters.steps),
        ("counter", "scepsy_emulated:busy_seconds_total", llm.pacer.busy_seconds),
        ("gauge", "scepsy_emulated:lag_seconds", llm.pacer.lag),
    )
    label = f'{{model_name="{llm.spec.name}"}}'
    lines = [f"# TYPE {name} {kind}\n{name}{label} {value}\n" for kind, name, value in values]
    return web.Response(text="".join(lines), content_type="text/plain")
