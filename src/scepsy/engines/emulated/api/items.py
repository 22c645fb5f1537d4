"""The output items of /v1/responses, and the events that stream them."""

from __future__ import annotations

from typing import cast

from scepsy.engines.emulated.generation.answer import GeneratedAnswer, piece
from scepsy.engines.emulated.generation.text import count_tokens
from scepsy.engines.emulated.generation.tools import ToolCall, new_call_id

Fields = dict[str, object]


def output_items(answer: GeneratedAnswer, item_id: str) -> list[Fields]:
    """The output items of an answer: one message, or one item for each tool call."""
    if not answer.calls:
        return [_message(item_id, answer.text)]
    return [
        {
            "id": f"fc_{new_call_id()}",
            "type": "function_call",
            "call_id": new_call_id(),
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for call in answer.calls
    ]


def token_events(answer: GeneratedAnswer, items: list[Fields]) -> list[list[Fields]]:
    """The events that each token of the answer brings; `items` are its output items."""
    if not answer.calls:
        return _message_events(answer, items[0])
    return [
        events
        for index, (call, item) in enumerate(zip(answer.calls, items, strict=True))
        for events in _call_events(call, item, index)
    ]


def _message_events(answer: GeneratedAnswer, item: Fields) -> list[list[Fields]]:
    text = answer.text
    where: Fields = {"item_id": item["id"], "output_index": 0, "content_index": 0}

    def event(kind: str, **fields: object) -> Fields:
        return {"type": f"response.{kind}", **where, **fields}

    tokens = [
        [event("output_text.delta", delta=piece(text, token, token + 1), logprobs=[])]
        for token in range(answer.tokens)
    ]
    empty: Fields = {**item, "status": "in_progress", "content": cast(list[object], [])}
    tokens[0][:0] = [_added(0, empty), event("content_part.added", part=_part(""))]
    tokens[-1] += [
        event("output_text.done", text=text, logprobs=[]),
        event("content_part.done", part=_part(text)),
        _done(0, item),
    ]
    return tokens


def _call_events(call: ToolCall, item: Fields, index: int) -> list[list[Fields]]:
    where: Fields = {"item_id": item["id"], "output_index": index}
    deltas: list[list[Fields]] = [
        [
            {
                "type": "response.function_call_arguments.delta",
                **where,
                "delta": piece(call.arguments, token, token + 1),
            }
        ]
        for token in range(count_tokens(call.arguments))
    ]
    head = cast(list[list[Fields]], [[] for _ in range(call.tokens - len(deltas))])
    head[0] = [_added(index, {**item, "status": "in_progress", "arguments": ""})]
    deltas[-1] += [
        {
            "type": "response.function_call_arguments.done",
            **where,
            "name": call.name,
            "arguments": call.arguments,
        },
        _done(index, item),
    ]
    return head + deltas


def _added(index: int, item: Fields) -> Fields:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: Fields) -> Fields:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _message(item_id: str, text: str) -> Fields:
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [_part(text)],
    }


def _part(text: str) -> Fields:
    return {"type": "output_text", "text": text, "annotations": []}
