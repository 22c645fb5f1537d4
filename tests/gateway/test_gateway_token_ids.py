"""Large prompts of token ids are read as if they were small, without an object for each number."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.trace import Endpoint
from scepsy.gateway.wire import token_ids
from scepsy.gateway.wire.lenient_json import parse
from scepsy.gateway.wire.prompts import prompt_items, prompt_text
from scepsy.gateway.wire.requests import ApiRequest, read_request
from scepsy.gateway.wire.token_ids import TokenIds, parse_large

ids = st.lists(st.integers(0, 200_000), min_size=1, max_size=8)
values = st.one_of(
    ids,
    st.lists(ids, min_size=1, max_size=4),
    st.lists(st.one_of(st.floats(allow_nan=False), st.integers(-3, 3), st.text()), max_size=4),
    st.text(),
)


@pytest.mark.parametrize("endpoint", ["completions", "embeddings"])
@given(value=values, indent=st.sampled_from([None, 1]))
def test_a_large_prompt_is_read_as_a_small_one(endpoint: Endpoint, value: object, indent: int):
    name = "prompt" if endpoint == "completions" else "input"
    body = json.dumps({"model": "m", name: value}, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_ids, "_LARGE_VALUE", 0)
        large = parse_large(body)
    small = parse(body)
    assert isinstance(large, dict)
    assert isinstance(small, dict)
    assert prompt_text(endpoint, large) == prompt_text(endpoint, small)
    assert prompt_items(endpoint, large) == prompt_items(endpoint, small)


@pytest.mark.parametrize("body", [b"{", b'{"prompt": [1 2]}', b'{"prompt": [1,]}', b"[" * 2_000])
def test_a_large_body_that_is_no_json_is_refused(body: bytes):
    with pytest.raises(ValueError, match=r"."):
        parse_large(body)


def test_large_prompts_of_ids_take_no_objects():
    count = 1_000_000
    body = b'{"model": "m", "prompt": [' + b", ".join([b"12345"] * count) + b"]}"
    tracemalloc.start()
    try:
        asked = read_request("completions", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(asked, ApiRequest)
    prompt = asked.fields["prompt"]
    assert isinstance(prompt, TokenIds)
    assert prompt.tokens == count
    assert peak < 6 * len(body)
