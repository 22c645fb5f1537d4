"""What the docs name exists: files, commands with their options, make targets, scripts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from scepsy.cli.main import cli
from scepsy.engines.load import METRICS
from scepsy.gateway.metrics import exposition
from scepsy.gateway.recording.recorder import Tally
from scepsy.gateway.upstreams.upstream import Upstreams

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "scepsy"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CURRENT = [page for page in PAGES if page.name not in ("CHANGELOG.md", "decisions.md")]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_docs_are_accepted(page: Path) -> None:
    """Every `scepsy` command with its options, as far as it is written out."""
    for line in _commands(page, "scepsy "):
        words = shlex.split(line, comments=True)[1:]
        if not words or words[0].startswith("-") or not words[0].isalpha():
            continue
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, line
        if "..." not in line:
            with suppress(click.BadOptionUsage):  # an option is named without its value
                command.make_parser(click.Context(command)).parse_args(words[1:])


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_and_scripts_in_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {line.split()[1] for line in _commands(page, "make ")} <= TARGETS
    for script in re.findall(r"python ([\w/]+\.py)", text):
        assert (ROOT / script).exists() or "/" not in script or "NAME" in script
    for module in re.findall(r"python -m ((?:experiments|benchmarks|scepsy)[\w.]*)", text):
        path = Path(*module.split("."))
        homes = [base / path for base in (ROOT, ROOT / "src")]
        assert any(home.with_suffix(".py").exists() or home.is_dir() for home in homes), module


def _commands(page: Path, start: str) -> Iterator[str]:
    """Lines of code blocks, and code within sentences, that begin with `start`."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip().startswith(start) and line.startswith(("    ", start)):
            yield line.strip()
    yield from (code for code in re.findall(r"`([^`\n]+)`", text) if code.startswith(start))


def test_the_metrics_page_has_every_metric() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    emulated = (SOURCE / "engines" / "emulated" / "api" / "info.py").read_text(encoding="utf-8")
    gateway = exposition(Upstreams(), Tally())
    names = {
        *METRICS,
        *re.findall(r'"(\w+:\w+)"', emulated),
        *(name.removeprefix("scepsy_gateway_") for name in re.findall(r"# TYPE (\S+)", gateway)),
    }
    assert len(names) > 20
    assert not {name for name in names if f"`{name}`" not in page}


def test_the_docs_name_files_that_exist() -> None:
    """A path like `planning/planner.py` in the docs is below the source tree or the repository."""
    missing = {
        f"{page.relative_to(ROOT)}: {path}"
        for page in CURRENT
        if "evaluation" not in page.parts
        for path in re.findall(r"`([\w/.-]+/[\w.-]+\.(?:py|toml|json))`", page.read_text("utf-8"))
        if not path.startswith(("out/", "/")) and not _exists(path, page)
    }
    assert not missing


def _exists(path: str, page: Path) -> bool:
    return any((base / path).exists() for base in (SOURCE, ROOT, SOURCE / "gateway", page.parent))
