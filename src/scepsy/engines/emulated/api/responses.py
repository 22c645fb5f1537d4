"""POST /v1/responses, as far as text and tools need it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.chat import chat_prompt
from scepsy.engines.emulated.api.items import Fields, output_items, token_events
from scepsy.engines.emulated.api.turns import Item, turns_of
from scepsy.engines.emulated.generation.sampling import (
    JsonSchema,
    ResponseFormat,
    SamplingBody,
    StructuredOutputs,
    sampling_of,
)
from scepsy.engines.emulated.generation.tools import ToolBody, ToolChoice, tools_of
from scepsy.engines.emulated.served import AnswerChoice, ServedLlm, Usage, usage_of
from scepsy.engines.emulated.wire.bodies import event, new_id, open_stream, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused


class TextFormat(msgspec.Struct):
    type: str
    schema: dict[str, object] | None = None


class TextOptions(msgspec.Struct):
    format: TextFormat | None = None


class ResponsesBody(msgspec.Struct, kw_only=True):
    input: str | list[Item]
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    ignore_eos: bool = False
    stream: bool | None = None
    text: TextOptions | None = None
    structured_outputs: StructuredOutputs | None = None
    tools: list[ToolBody] | None = None
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    priority: int = 0


_decoder = msgspec.json.Decoder(ResponsesBody)


async def responses(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    if body.previous_response_id is not None:  # vLLM stores no responses either by default
        raise RequestRefused(
            f"Response with id {body.previous_response_id!r} not found.",
            status=404,
            param="response_id",
            kind="invalid_request_error",
        )
    turns = turns_of(body.input, body.instructions)
    tools = tools_of(
        body.tools,
        body.tool_choice,
        parallel=body.parallel_tool_calls,
        rounds=sum(turn.role == "tool" for turn in turns),
    )
    sampling = sampling_of(_sampling_body(body), tools=tools)
    [choice] = llm.choices([chat_prompt(turns, body.tools)], sampling, 1)
    head: dict[str, object] = {
        "id": new_id("resp", request),
        "object": "response",
        "created_at": int(time.time()),
        "model": llm.spec.name,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "tool_choice": body.tool_choice or "auto",
        "tools": body.tools or [],
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
    }
    if body.stream:
        return await _stream(request, llm, choice, head)
    items = output_items(choice.answer, new_id("msg", request))
    return reply({**head, **_end(choice, await llm.finish([choice]), items)})


def _sampling_body(body: ResponsesBody) -> SamplingBody:
    wanted = body.text.format if body.text else None
    return SamplingBody(
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        ignore_eos=body.ignore_eos,
        priority=body.priority,
        structured_outputs=body.structured_outputs,
        response_format=wanted and ResponseFormat(wanted.type, JsonSchema(wanted.schema)),
    )


def _end(choice: AnswerChoice, usage: Usage, items: list[Fields]) -> Fields:
    """The fields that a finished response has in addition to one that has just begun."""
    cut = choice.answer.finish_reason == "length"
    return {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": items,
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }


async def _stream(
    request: web.Request, llm: ServedLlm, choice: AnswerChoice, head: Fields
) -> web.StreamResponse:
    response = await open_stream(request)
    items = output_items(choice.answer, new_id("msg", request))
    sent = 0

    async def send(events: Iterable[Fields]) -> None:
        nonlocal sent
        for one in events:
            kind = str(one["type"])
            await response.write(event({**one, "sequence_number": sent}, name=kind))
            sent += 1

    begun: Fields = {**head, "status": "in_progress", "output": [], "usage": None}
    for kind in ("response.created", "response.in_progress"):
        await send([{"type": kind, "response": begun}])
    tokens = token_events(choice.answer, items)
    cached = 0
    async for new in llm.increments([choice]):
        cached = new.cached_tokens or 0
        await send(one for token in tokens[new.start : new.stop] for one in token)
    end = {**head, **_end(choice, usage_of([choice], [cached]), items)}
    kind = "response.incomplete" if end["status"] == "incomplete" else "response.completed"
    await send([{"type": kind, "response": end}])
    return response
