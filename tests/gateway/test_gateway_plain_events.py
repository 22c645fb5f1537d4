"""Reading a plain event fast gives what reading it field by field gives."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.wire import answers
from scepsy.gateway.wire.answers import AnswerRecord
from scepsy.gateway.wire.plain_events import plain_text

odd = st.sampled_from([None, "x", "", 0, 1.5, [], {}, {"message": "no luck"}, "error", "stop"])
deltas = st.fixed_dictionaries(
    {}, optional={"content": st.text() | odd, "role": odd, "tool_calls": odd, "refusal": odd}
)
choices = st.fixed_dictionaries(
    {}, optional={"delta": deltas | odd, "index": odd, "finish_reason": odd, "logprobs": odd}
)
events = st.fixed_dictionaries(
    {"choices": st.lists(choices, min_size=1, max_size=2)},
    optional={
        **dict.fromkeys(("id", "object", "created", "model", "usage", "error", "type"), odd),
        **dict.fromkeys(("system_fingerprint", "service_tier", "status", "message"), odd),
    },
)


def read(event: dict[str, object], *, fast: bool) -> tuple[object, ...]:
    with pytest.MonkeyPatch.context() as patch:
        if not fast:
            patch.setattr(answers, "_PLAIN_TRIES", 0)
        record = AnswerRecord()
        record.read_event(json.dumps(event).encode())
        seen = (record.text, record.digest, record.issued, record.error, record.ended)
        return (*seen, record.lacks_end, record.tokens)


@given(events)
def test_plain_events_are_read_as_others(event: dict[str, object]):
    assert read(event, fast=True) == read(event, fast=False)


def test_what_an_engine_sends_is_plain():
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1764500000,
        "model": "m",
        "choices": [
            {"index": 0, "delta": {"content": "hi"}, "logprobs": None, "finish_reason": None}
        ],
    }
    assert plain_text(json.dumps(event).encode()) == "hi"
