"""Functions and inputs are found, or it is said what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scepsy.drive import load_function, read_inputs, read_lines
from scepsy.errors import BadInput, NotFound, ScepsyError

PROGRAM = """
import dataclasses
import sibling_of_agent

@dataclasses.dataclass
class State:
    value: int = sibling_of_agent.VALUE

async def run(value):
    return State().value + value

def not_async(value):
    return value
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    (tmp_path / "agent_program.py").write_text(PROGRAM)
    (tmp_path / "sibling_of_agent.py").write_text("VALUE = 40\n")
    (tmp_path / "broken_program.py").write_text("import not_there_at_all\n")
    (tmp_path / "exiting_program.py").write_text("raise SystemExit('no key')\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


async def test_finds_functions_by_module_and_by_file(folder: Path) -> None:
    by_module = load_function("agent_program:run")
    by_file = load_function(f"{folder}/agent_program.py:run")
    assert await by_module(2) == await by_file(2) == 42


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("agent_program", BadInput, "write MODULE:FUNCTION"),
        (":run", BadInput, "write MODULE:FUNCTION"),
        ("no_such_program:run", NotFound, "no module 'no_such_program'"),
        ("no_such.program:run", NotFound, "no module 'no_such'"),
        ("no_such.py:run", NotFound, "no file no_such.py"),
        ("agent_program:go", NotFound, "no function 'go'"),
        ("agent_program:not_async", BadInput, "async def"),
        ("agent_program:State", BadInput, "async def"),
        ("broken_program:run", BadInput, "No module named 'not_there_at_all'"),
        ("broken_program.py:run", BadInput, "No module named 'not_there_at_all'"),
        ("exiting_program.py:run", BadInput, "SystemExit: no key"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_says_what_is_wrong(name: str, kind: type[ScepsyError], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_function(name)


def test_reads_lines_and_json_lines(tmp_path: Path) -> None:
    (tmp_path / "inputs.txt").write_text("one\n\n  two words \n")
    (tmp_path / "inputs.jsonl").write_text('{"a": 1}\n"text"\n[1, 2]\n')
    assert read_inputs(tmp_path / "inputs.txt") == ["one", "two words"]
    assert read_inputs(tmp_path / "inputs.jsonl") == [{"a": 1}, "text", [1, 2]]
    assert read_lines(tmp_path / "inputs.txt") == ["one", "two words"]


def test_names_the_file_and_line_that_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(BadInput, match=r"bad\.jsonl:3: "):
        read_inputs(bad)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(BadInput, match=r"empty\.txt has no inputs"):
        read_inputs(empty)
    with pytest.raises(NotFound, match=r"missing\.txt"):
        read_inputs(tmp_path / "missing.txt")
    with pytest.raises(BadInput, match="this is a directory"):
        read_inputs(tmp_path)
