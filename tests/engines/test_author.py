"""What an emulated LLM says depends on what it is asked, and on nothing else."""

from __future__ import annotations

from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.engines.emulated.generation.answer import USUAL_TOKENS, Author, piece
from scepsy.engines.emulated.generation.relevance import embed, relevance
from scepsy.engines.emulated.generation.sampling import Sampling
from scepsy.engines.emulated.generation.text import (
    count_tokens,
    text_prompt,
    token_ids,
    token_prompt,
    words,
)

AUTHOR = Author(0, "x")


@given(st.text(min_size=1, max_size=40), st.integers(1, 300), st.booleans())
@settings(max_examples=50)
def test_length_and_reason(text: str, limit: int, ignore_eos: bool) -> None:
    sampling = Sampling(max_tokens=limit, ignore_eos=ignore_eos)
    answer = AUTHOR.answer(text_prompt(text), sampling, index=0, room=8192)
    assert answer.tokens == count_tokens(answer.text) <= limit
    assert answer.tokens == limit or not ignore_eos
    assert (answer.finish_reason == "length") == (answer.tokens == limit)


def test_seed_llm_prompt_index_and_parameters_matter_and_nothing_else_does() -> None:
    def text(author: Author, prompt: str, index: int = 0, digest: bytes = b"") -> str:
        sampling = Sampling(max_tokens=100, digest=digest)
        return author.answer(text_prompt(prompt), sampling, index=index, room=1000).text

    base = text(AUTHOR, "hello")
    assert base == text(Author(0, "x"), "hello")
    others = [
        text(Author(1, "x"), "hello"),
        text(Author(0, "y"), "hello"),
        text(AUTHOR, "hallo"),
        text(AUTHOR, "hello", index=1),
        text(AUTHOR, "hello", digest=b"temperature 1"),
    ]
    assert len({base, *others}) == 6


def test_usual_lengths() -> None:
    def typical(limit: int | None) -> float:
        sampling = Sampling(max_tokens=limit)
        prompts = [text_prompt(str(i)) for i in range(400)]
        return median(AUTHOR.answer(p, sampling, index=0, room=4096).tokens for p in prompts)

    assert abs(typical(None) - USUAL_TOKENS) < 10
    assert abs(typical(100) - 60) < 6


def test_choices_schemas_and_stops() -> None:
    def answer(i: int, **how: object) -> str:
        sampling = Sampling(max_tokens=50, **how)  # pyright: ignore[reportArgumentType]
        return AUTHOR.answer(text_prompt(str(i)), sampling, index=0, room=4096).text

    assert {answer(i, bound=("A", "B")) for i in range(30)} == {"A", "B"}
    assert {answer(i, bound={"type": "boolean"}) for i in range(30)} == {"true", "false"}
    assert all("e" not in answer(i, stop=("e",)) for i in range(30))


@given(st.text(), st.integers(0, 30))
def test_pieces_make_up_the_text(text: str, cut: int) -> None:
    tokens = count_tokens(text)
    assert piece(text, 0, cut) + piece(text, cut, tokens + cut) == text
    assert len(token_ids(text)) == tokens


@given(st.text(min_size=200, max_size=400), st.text(max_size=200), st.text(max_size=200))
def test_equal_beginnings_share_their_blocks(start: str, one: str, other: str) -> None:
    shared = len(start) // 64
    assert text_prompt(start + one).blocks[:shared] == text_prompt(start + other).blocks[:shared]
    assert len(text_prompt(start).blocks) == count_tokens(start) // 16


def test_token_prompts_have_blocks_too() -> None:
    prompt = token_prompt(range(40))
    assert (prompt.tokens, len(prompt.blocks)) == (40, 2)
    assert token_prompt(range(32)).blocks == prompt.blocks


def test_nearness_follows_words() -> None:
    def near(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(embed(words(one)), embed(words(other)), strict=True))

    assert near("The cat sat.", "a cat sat") > 0.5 > near("The cat sat.", "stock prices fell")
    query, rng = "blue sky", AUTHOR.rng(b"")
    good = [relevance(query, "the sky is blue", rng) for _ in range(20)]
    bad = [relevance(query, "green grass", rng) for _ in range(20)]
    assert min(good) > max(bad)
    assert all(0 < score < 1 for score in good + bad)
