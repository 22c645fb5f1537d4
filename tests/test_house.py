"""The shape of the source tree: few loose modules, small files, one class per name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).resolve().parents[1] / "src" / "scepsy"
FILES = sorted(SOURCE.rglob("*.py"))
LINES_MEDIAN_MAX = 120
LINES_MAX = 350


def test_only_errors_stands_beside_the_packages() -> None:
    assert {file.name for file in SOURCE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
    }


def test_files_are_small() -> None:
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert median(lines.values()) <= LINES_MEDIAN_MAX
    assert not {str(file): count for file, count in lines.items() if count > LINES_MAX}


def test_every_package_says_what_it_is() -> None:
    packages = [file for file in FILES if file.name == "__init__.py"]
    silent = [file for file in packages if not ast.get_docstring(_tree(file))]
    assert not silent


def test_a_public_class_name_stands_for_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file in FILES:
        for node in _tree(file).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(file.relative_to(SOURCE)))
    assert not {name: found for name, found in homes.items() if len(found) > 1}


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
