"""Errors of many tasks at once end as one error, and every code is its own."""

from __future__ import annotations

import pickle

from scepsy import errors
from scepsy.errors import BadInput, EngineFailed, ScepsyError, first_of


def test_the_first_of_ours_is_found_however_nested() -> None:
    ours = EngineFailed("it died")
    group = BaseExceptionGroup("a", [ValueError(), BaseExceptionGroup("b", [ours, BadInput("x")])])
    assert first_of(group) is ours


def test_a_group_without_ours_stays_what_it_is() -> None:
    group = BaseExceptionGroup("a", [ValueError(), KeyError()])
    assert first_of(group) is group


def test_what_a_refused_change_would_do_survives_the_way_between_processes() -> None:
    found = pickle.loads(pickle.dumps(errors.CapacityDip("no").after(["wave 1: start m-0"])))
    assert (str(found), found.would) == ("no", ("wave 1: start m-0",))


def test_codes_and_exit_codes_are_unique_and_the_tree_is_drawn() -> None:
    found = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ScepsyError)
    ]
    assert (
        len({kind.code for kind in found}) == len({kind.exit_code for kind in found}) == len(found)
    )
    for kind in found:
        assert f"{kind.__name__} " in (errors.__doc__ or "")
        assert f"exit code {kind.exit_code}" in (errors.__doc__ or "")


def test_an_error_of_a_file_is_found_where_there_is_none_of_ours() -> None:
    full = OSError(28, "No space left on device", "calls.jsonl")
    assert first_of(BaseExceptionGroup("a", [BaseExceptionGroup("b", [full])])) is full
    ours = BadInput("x")
    assert first_of(BaseExceptionGroup("a", [full, ours])) is ours
