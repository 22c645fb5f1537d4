"""POST /v1/completions."""

from __future__ import annotations

import time
from typing import cast

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.streaming import stream_choices
from scepsy.engines.emulated.generation.answer import piece
from scepsy.engines.emulated.generation.sampling import SamplingBody, sampling_of
from scepsy.engines.emulated.generation.text import VOCABULARY, Prompt, text_prompt, token_prompt
from scepsy.engines.emulated.served import Increment, ServedLlm
from scepsy.engines.emulated.wire.bodies import MALFORMED, new_id, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused

DEFAULT_MAX_TOKENS = 16
"""Default of `max_tokens` for this endpoint at OpenAI and in vLLM."""


class CompletionBody(SamplingBody, kw_only=True):
    prompt: str | list[object] | None = None
    suffix: str | None = None


_decoder = msgspec.json.Decoder(CompletionBody)


async def completions(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    sampling = sampling_of(body, default_max_tokens=DEFAULT_MAX_TOKENS)
    if body.prompt is None or body.prompt == "":
        raise RequestRefused("Either prompt or prompt_embeds must be provided", param="prompt")
    if body.suffix:
        raise RequestRefused("suffix is not supported by this LLM", param="suffix")
    choices = llm.choices(prompts_of(body.prompt, "prompt"), sampling, body.n or 1)
    head: dict[str, object] = {
        "id": new_id("cmpl", request),
        "object": "text_completion",
        "created": int(time.time()),
        "model": llm.spec.name,
    }
    if body.stream:
        usage_too = body.include_usage
        return await stream_choices(request, llm, choices, head, _texts, include_usage=usage_too)
    usage = await llm.finish(choices)
    wholes = [_text(one.index, one.answer.text, one.answer.finish_reason) for one in choices]
    return reply({**head, "choices": wholes, "usage": usage.wire()})


def prompts_of(value: str | list[object], param: str) -> list[Prompt]:
    """The prompts in a string, a list of token ids, or a list of either. Raises RequestRefused for
    any other value.
    """
    if isinstance(value, str):
        return [text_prompt(value)]
    if not value:
        raise RequestRefused("You must pass at least one prompt")
    if all(isinstance(one, int) for one in value):
        return [token_prompt(_ids(value, param))]
    prompts: list[Prompt] = []
    for one in value:
        if isinstance(one, str):
            prompts.append(text_prompt(one))
        elif isinstance(one, list):
            prompts.append(token_prompt(_ids(cast(list[object], one), param)))
        else:
            raise RequestRefused(
                f"{param} must be strings or lists of token ids",
                param=f"body.{param}.0",
                kind=MALFORMED,
            )
    return prompts


def _ids(value: list[object], param: str) -> list[int]:
    for place, id_ in enumerate(value):
        if not isinstance(id_, int) or isinstance(id_, bool) or id_ < 0:
            message = f"{id_!r} is no token id"
            raise RequestRefused(message, param=f"body.{param}.{place}", kind=MALFORMED)
        if id_ >= VOCABULARY:
            raise RequestRefused(f"Token id {id_} is out of vocabulary")
    return cast(list[int], value)


def _texts(new: Increment) -> list[dict[str, object]]:
    index, answer = new.choice.index, new.choice.answer
    return [
        _text(
            index,
            piece(answer.text, token, token + 1),
            answer.finish_reason if token + 1 == answer.tokens else None,
        )
        for token in range(new.start, new.stop)
    ]


def _text(index: int, text: str, finish_reason: str | None) -> dict[str, object]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
