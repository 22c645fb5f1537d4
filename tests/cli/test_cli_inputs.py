"""What the flags accept, and how they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from scepsy.cli.drive import workflow_name
from scepsy.cli.inputs import parse_mix, parse_target, parse_targets
from scepsy.cli.main import COMMANDS, cli
from scepsy.cli.profile import parse_shares
from scepsy.cli.trace import program_name
from scepsy.errors import BadInput


def scepsy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scepsy", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_target_is_a_rate_and_perhaps_a_weight() -> None:
    assert parse_target("rag=1.5").rate == 1.5
    assert parse_target("rag=1.5*3").weight == 3


@pytest.mark.parametrize(
    "text", ["rag", "rag=", "rag=x", "=1", "rag=-1", "rag=nan", "rag=1*0", "rag=inf"]
)
def test_a_bad_target_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_target(text)
    assert repr(text) in str(refused.value)


def test_a_workflow_has_one_target() -> None:
    with pytest.raises(BadInput, match="rag more than once"):
        parse_targets(("rag=1", "rag=2"))


def test_a_mix_gives_the_rates_of_traced_workflows() -> None:
    assert parse_mix(("rag=1.5", "beam=2"), {"rag", "beam", "other"}) == {"rag": 1.5, "beam": 2.0}


@pytest.mark.parametrize(
    "texts", [("rag=1*2",), ("rag",), ("rag=0",), ("=1",), ("typo=1",), ("rag=1", "rag=2")]
)
def test_a_bad_mix_is_refused_by_its_own_flag(texts: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=r"^--mix [^*]*(\*2': write WORKFLOW=RATE)?$"):
        parse_mix(texts, {"rag"})


@pytest.mark.parametrize("text", ["", "0", "0.5,2", "half"])
def test_bad_shares_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_shares(text)


def test_names_come_from_scripts_and_modules() -> None:
    assert program_name(("python", "dir/agent.py", "question")) == "agent"
    assert program_name(("./agent",)) == "agent"
    assert workflow_name("examples/rag.py:run") == workflow_name("examples.rag:run") == "rag"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(name: str) -> None:
    shown = scepsy(name, "--help")
    assert shown.returncode == 0, shown.stderr
    command = cli.get_command(click.Context(cli), name)
    members = command.commands.values() if isinstance(command, click.Group) else [command]
    for member in members:
        assert member is not None
        assert "--json" in {text for option in member.params for text in option.opts}


def test_importing_scepsy_is_light_and_the_public_names_are_few() -> None:
    code = (
        "import sys, scepsy; heavy = {'aiohttp', 'numpy', 'torch', 'ray', 'openai', 'rich'};"
        "print(sorted(heavy & set(sys.modules)), len(scepsy.__all__));"
        "[getattr(scepsy, name) for name in scepsy.__all__]"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"[] {len(__import__('scepsy').__all__)}"
    assert len(__import__("scepsy").__all__) <= 15


def test_missing_files_give_one_line_and_the_code_of_the_error_tree(tmp_path: Path) -> None:
    shown = scepsy("traces", str(tmp_path / "nowhere"))
    assert shown.returncode == 3
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "nowhere" in shown.stderr


def test_status_of_what_is_not_deployed(tmp_path: Path) -> None:
    shown = scepsy("status", "--state", str(tmp_path), "--json")
    assert shown.returncode == 3
    assert '"code":"not_found"' in shown.stderr


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    refused = scepsy("drive", "m:f", "--rate", "1", "--duration", number, "--gateway", "http://x")
    assert refused.returncode == 2
    assert "is not a finite number" in refused.stderr
