"""/v1/responses, as far as text and tools need it: make one, fetch it, cancel it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.chat import Message, chat_prompt
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
from scepsy.engines.emulated.response_store import StoredResponse
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
    store: bool = True
    background: bool = False
    priority: int = 0


_decoder = msgspec.json.Decoder(ResponsesBody)


async def create(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    _check_background(body, llm)
    before = [] if body.previous_response_id is None else _said(body.previous_response_id, llm)
    now = turns_of(body.input, None)
    system = turns_of([], body.instructions)
    turns = [*system, *before, *now]
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
    items = output_items(choice.answer, new_id("msg", request))
    answer = Message("assistant", choice.answer.text or msgspec.json.encode(items).decode())
    stored = StoredResponse(head, [(one.role, _plain(one)) for one in (*before, *now, answer)])
    if body.store:
        llm.responses.put(str(head["id"]), stored)
    if body.background:
        stored.fields = {**head, "status": "queued", "background": True, "output": []}
        stored.work = asyncio.create_task(_work(llm, choice, items, stored))
        return reply(stored.fields)
    if body.stream:
        return await _stream(request, llm, choice, stored, items)
    stored.fields = {**head, **_end(choice, await llm.finish([choice]), items)}
    return reply(stored.fields)


async def fetch(request: web.Request, llm: ServedLlm) -> web.Response:
    return reply(_stored(request.match_info["response_id"], llm).fields)


async def cancel(request: web.Request, llm: ServedLlm) -> web.Response:
    stored = _stored(request.match_info["response_id"], llm)
    if stored.work is None:
        raise RequestRefused("Cannot cancel a synchronous response.", param="response_id")
    if not stored.work.done():
        stored.work.cancel()
        stored.fields = {**stored.fields, "status": "cancelled"}
    return reply(stored.fields)


def _check_background(body: ResponsesBody, llm: ServedLlm) -> None:
    if body.background and not (body.store and llm.responses.enabled):
        message = "`background` needs `store` and VLLM_ENABLE_RESPONSES_API_STORE=1."
        raise RequestRefused(message, param="background")
    if body.background and body.stream:
        raise RequestRefused("streams in the background are not emulated", param="background")


def _stored(name: str, llm: ServedLlm) -> StoredResponse:
    stored = llm.responses.get(name)
    if stored is None:
        message = f"Response with id {name!r} not found."
        kind = "invalid_request_error"
        raise RequestRefused(message, status=404, param="response_id", kind=kind)
    return stored


def _said(name: str, llm: ServedLlm) -> list[Message]:
    return [Message(role, content) for role, content in _stored(name, llm).turns]


def _plain(message: Message) -> str:
    """The text of a message."""
    said = message.content
    return "".join(part.text or "" for part in said) if isinstance(said, list) else said or ""


async def _work(
    llm: ServedLlm, choice: AnswerChoice, items: list[Fields], stored: StoredResponse
) -> None:
    stored.fields = {**stored.fields, "status": "in_progress"}
    stored.fields = {**stored.fields, **_end(choice, await llm.finish([choice]), items)}


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
    request: web.Request,
    llm: ServedLlm,
    choice: AnswerChoice,
    stored: StoredResponse,
    items: list[Fields],
) -> web.StreamResponse:
    response = await open_stream(request)
    head = stored.fields
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
    end = stored.fields = {**head, **_end(choice, usage_of([choice], [cached]), items)}
    kind = "response.incomplete" if end["status"] == "incomplete" else "response.completed"
    await send([{"type": kind, "response": end}])
    return response
