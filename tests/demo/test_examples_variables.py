"""The library knows no environment variable of an example program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_variable_of_an_example_is_named_in_the_library() -> None:
    examples = "\n".join(file.read_text() for file in (ROOT / "examples").rglob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", examples))
    standard = {name for name in read if name.startswith(("OPENAI_", "XDG_", "SCEPSY_"))}
    assert "RAG_INDEX" in read - standard
    for file in (ROOT / "src").rglob("*.py"):
        strings = {
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not strings & (read - standard), file
