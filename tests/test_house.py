"""The shape of the source tree: few loose modules, small files, one class per name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).resolve().parents[1] / "src" / "scepsy"
TESTS = Path(__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))
LINES_MEDIAN_MAX = 120
LINES_MAX = 350
LAYERS_MAX = 10


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


def test_the_import_layers_are_few_and_cover_every_package() -> None:
    settings = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]
    assert layers["type"] == "layers"
    assert layers["exhaustive"]
    assert len(layers["layers"]) <= LAYERS_MAX


def test_no_module_imports_itself_through_others() -> None:
    """Within packages too, where the layers do not look; imports for type checkers do not count."""
    names = {_module(file): file for file in FILES}
    graph = {name: set(_imports(file, names)) - {name} for name, file in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def _module(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file: Path, names: dict[str, Path]) -> Iterator[str]:
    todo: list[ast.AST] = [_tree(file)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in names else node.module for name in inner)


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


def test_every_field_of_a_file_has_a_meaning() -> None:
    """The reference pages are made from the `Attributes` of the records that are written to files,
    and the site is not built where one lacks a field.
    """
    missing = {
        f"{file.relative_to(SOURCE)}: {node.name}.{field}"
        for file in [*(SOURCE / "core").glob("*.py"), SOURCE / "gateway" / "config.py"]
        for node in _tree(file).body
        if isinstance(node, ast.ClassDef) and _is_record(node)
        for field in _fields(node) - _explained(ast.get_docstring(node) or "")
    }
    assert not missing


def _is_record(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Record" for base in node.bases)


def _fields(node: ast.ClassDef) -> set[str]:
    return {
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    }


def _explained(doc: str) -> set[str]:
    section = doc.partition("Attributes:\n")[2].partition("\n\n")[0]
    names = re.findall(r"^    (\w[\w, ]*): ", section, re.MULTILINE)
    return {name for group in names for name in group.split(", ")}


def test_no_two_test_files_have_one_name() -> None:
    """Pytest imports them by their name alone, and refuses to run any where two are equal."""
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert not {name for name, count in names.items() if count > 1}
