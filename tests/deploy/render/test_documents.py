"""YAML that every reader understands as it was meant."""

from __future__ import annotations

import re

import yaml
from hypothesis import given
from hypothesis import strategies as st

from scepsy.deploy.render.documents import yaml_stream

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_text_comes_back_as_it_was(one: dict[str, object]) -> None:
    assert list(yaml.safe_load_all(yaml_stream([one]))) == [one]


def test_words_that_are_booleans_somewhere_are_quoted() -> None:
    """kubectl reads YAML 1.1, in which y and on are booleans; PyYAML does not know y."""
    text = yaml_stream([{"y": "y", "labels": ["on", "No", "true", "null", "1e3", "0x1f", "1:30"]}])
    for word in ("y", "on", "No", "true", "null", "1e3", "0x1f", "1:30"):
        assert f'"{word}"' in text
    assert not re.search(r"^y:", text, re.MULTILINE)


def test_a_comment_stands_before_the_objects() -> None:
    assert yaml_stream([{"a": 1}], ["What was lost: " + "all " * 40]).startswith("# What was lost")
