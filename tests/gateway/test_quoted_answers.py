"""Who quotes an answer belongs to the run that was given it, or to nobody."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.identity.labels import Identity
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.identity.quoted_answers import Quotes

TEMPLATE = "You are a careful assistant . Answer the question below in full sentences : "
WORDS = [f"{a}{b}" for a in "bcdfglmnprst" for b in ("al", "ot", "in", "um", "er", "ask")]


def prose(rng: random.Random, words: int = 30) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def test_a_prompt_belongs_to_the_run_whose_answers_it_quotes():
    rng = random.Random(0)
    quotes = Quotes[str](len)
    answers = {run: prose(rng) for run in "abc"}
    for run, answer in answers.items():
        quotes.wrote(run, TEMPLATE + prose(rng), answer, 0.0)
    for run, answer in answers.items():
        assert quotes.quoted_by(f"{TEMPLATE} Improve this draft:\n\n{answer}\n", 0.0) == run
        assert quotes.quoted_by(answer[10:], 0.0) == run
    assert quotes.quoted_by(answers["a"] + answers["b"], 0.0) is None
    assert quotes.quoted_by(TEMPLATE + prose(rng), 0.0) is None


def test_text_repeated_from_the_prompt_does_not_identify_a_run():
    rng = random.Random(0)
    quotes = Quotes[str](len)
    question = prose(rng)
    quotes.wrote("a", TEMPLATE + question, f"{TEMPLATE} Sure. {question}", 0.0)
    assert quotes.quoted_by(TEMPLATE + question, 0.0) is None


def test_an_answer_seen_in_two_runs_does_not_identify_a_run():
    answer = prose(random.Random(0))
    for other in ("b", None):
        quotes = Quotes[str](len)
        quotes.wrote("a", "p", answer, 0.0)
        assert quotes.quoted_by(answer, 0.0) == "a"
        quotes.wrote(other, "p", answer, 0.0)
        assert quotes.quoted_by(answer, 0.0) is None
        quotes.wrote("a", "p", answer, 0.0)
        assert quotes.quoted_by(answer, 0.0) is None


@given(
    seed=st.integers(0, 10_000),
    order=st.lists(st.sampled_from("abcd"), min_size=4, max_size=24),
    same=st.booleans(),
)
def test_concurrent_runs_are_never_mixed(seed: int, order: Sequence[str], same: bool):
    """Runs of one template, interleaved in any order; each later call quotes the last answer of its
    run. A call is tied to its own run or to none; with `same`, all ask one question and get one
    answer, so that only the calls of the first run, while it is the only one, may be identified.
    """
    rng = random.Random(seed)
    lineage = Lineage(5.0, "w")
    last: dict[str, str] = {}
    found: dict[str, set[str]] = {}
    for step, run in enumerate(order):
        prompt = TEMPLATE + last.get(run, "go" if same else prose(rng, 5))
        clues = Clues("c", prompt=prompt, opening=TEMPLATE)
        identity = lineage.begin(Identity(), clues, float(step))
        if identity.run is not None:
            found.setdefault(identity.run, set()).add(run)
        answer = prose(random.Random(prompt if same else f"{seed}/{step}"))
        lineage.end(identity, clues, step + 0.5, (), answer)
        last[run] = answer
    assert all(len(owners) == 1 for owners in found.values())
