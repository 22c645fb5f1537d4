"""Names that others chose neither style nor control the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders import call
from scepsy.cli import main
from scepsy.cli.terminal import UNSAFE, escaped, escaped_json
from scepsy.store import TraceWriter

ODD = ("[/x]", "[bold red]x", "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "a\u202eb", "\r\nx: y")


@pytest.mark.parametrize("name", ODD)
def test_traces_are_shown_whatever_names_they_have(tmp_path: Path, name: str):
    with TraceWriter(tmp_path) as writer:
        about = {"run": f"r{name}", "workflow": f"w{name}", "layer": "header"}
        writer.append(call(f"m{name}", 1.0, 2.0, **about))
    shown = CliRunner().invoke(main.cli, ["traces", str(tmp_path)])
    assert shown.exception is None, shown.output
    assert not UNSAFE.search(shown.output)
    assert escaped(name.strip("\r\n\x07")) in shown.output  # Rich itself drops the bell
    made = CliRunner().invoke(main.cli, ["traces", str(tmp_path), "--json"])
    assert not UNSAFE.search(made.output)
    assert json.loads(made.output)["counts"][0]["workflow"] == f"w{name}"


def test_escaped_text_can_be_read_back():
    odd = "".join(map(chr, range(0x300))) + "\u202e"
    assert json.loads(escaped_json(json.dumps(odd, ensure_ascii=False))) == odd
    assert escaped("a\x1b\tb\n") == "a\\x1b\tb\n"
