"""What commands say: errors that name the thing, tables that keep their heads and numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from scepsy.cli.descriptions import cluster_of
from scepsy.cli.main import cli, main
from scepsy.cli.output import console, table
from scepsy.cli.profile import goes_on
from scepsy.errors import BadInput, ScepsyError

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "v1"


def scepsy(*arguments: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    return done.exit_code, done.output, done.exception


def test_a_misspelt_command_suggests_the_one_that_was_meant() -> None:
    code, output, _ = scepsy("plna")
    assert code == 2
    assert "there is no command 'plna'; did you mean plan?" in output
    assert "see `scepsy --help`" in scepsy("xyzzy")[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("8h100", "did you mean 8xh100?"),
        ("2x8h100", "did you mean 2x8xh100?"),
        ("16 h100", "did you mean 16xh100?"),
        ("8xh10", "did you mean h100?"),
        ("h100", "write GPUSxTYPE or NODESxGPUSxTYPE"),
    ],
)
def test_a_misspelt_cluster_is_not_a_missing_file(given: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        cluster_of(Path(given))
    assert words in str(refused.value)
    assert "no such file" not in str(refused.value).replace("there is no such file, and it", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gama:2", "did you mean gamma:2?"),
        ("poison", "did you mean poisson?"),
        ("gamma", "write gamma:CV"),
    ],
)
def test_misspelt_arrivals_are_not_a_missing_file(given: str, words: str) -> None:
    options = ("--traces", ASSETS / "traces", "--rate", "rag=1", "--arrivals", given)
    _, _, wrong = scepsy("simulate", ASSETS / "plan.json", *options)
    assert isinstance(wrong, BadInput)
    assert words in str(wrong)


def test_a_plan_given_as_a_profile_says_so() -> None:
    _, _, wrong = scepsy("profiles", ASSETS / "plan.json")
    assert isinstance(wrong, BadInput)
    assert "this is a plan, not a profile" in str(wrong)
    _, _, wrong = scepsy("traces", ASSETS / "plan.json")
    assert isinstance(wrong, BadInput)
    assert "give the directory that `scepsy trace` wrote" in str(wrong)


TYPO = """[[llms]]
name = "generator"
parameters = 32e9
maxtp = 4
"""
TRACED = ("--traces", ASSETS / "traces", "--target", "rag=0.1")


def test_a_typo_in_a_file_is_named_with_its_place_and_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "llms.toml"
    file.write_text(TYPO)
    profile = ("--profile", ASSETS / "profile.json", "--cluster", "4xh100")
    _, _, wrong = scepsy("plan", *TRACED, *profile, "--llms", file)
    assert isinstance(wrong, BadInput)
    assert str(wrong) == (
        f"{file}:4: LLM 'generator': maxtp: there is no such field; did you mean max_tp?"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simulate", ASSETS / "profile.json", "--traces", ASSETS / "traces"),
         "this is a profile, not a plan; `scepsy plan` writes one"),
        (("deploy", ASSETS / "profile.json", "--on", "local"), "this is a profile, not a plan"),
        (("plan", *TRACED, "--profile", ASSETS / "plan.json", "--cluster", "4xh100"),
         "this is a plan, not a profile; `scepsy profile` and `scepsy estimate` write one"),
        (("plan", *TRACED, "--profile", ASSETS / "profile.json", "--cluster",
          ASSETS.parents[2] / "examples" / "llms.toml"), "this is an LLM file, not a cluster"),
        (("traces", ASSETS / "traces", "--workflow", "ragg"), "did you mean rag?"),
        (("estimate", ASSETS / "traces", "--cluster", "4xh100", "--workflow", "rga"),
         "did you mean rag?"),
        (("estimate", ASSETS / "traces", "--cluster", "4xh100", "--mix", "ragg=1"),
         "did you mean rag?"),
        (("drive", ASSETS.parents[2] / "examples" / "beam_search.py:rum", "--rate", 1,
          "--gateway", "http://127.0.0.1:1"), "has no function 'rum'; did you mean run?"),
    ],
    ids=lambda one: str(one[0]) if isinstance(one, tuple) else "",
)  # fmt: skip
def test_an_error_names_the_thing(
    arguments: tuple[object, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "unset later")  # `drive` sets them for the programs
    _, _, wrong = scepsy(*arguments)
    assert isinstance(wrong, ScepsyError), wrong
    assert words in str(wrong)


HEADS = tuple(f"column {letter}" for letter in "abcdefghijklmn")


@pytest.mark.parametrize("width", [24, 40, 80, 100, 200])
def test_a_table_keeps_every_head_and_every_number(width: int) -> None:
    rows = [
        (f"llm-{row}", *(f"{row}.{column:03}" for column in range(1, len(HEADS))))
        for row in range(3)
    ]
    output = io.StringIO()
    Console(file=output, width=width).print(table("Title", HEADS, rows))
    text = output.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for letter in "abcdefghijklmn":
        assert re.search(rf"\b{letter}\b", text)
    for row in rows:
        for cell in row:
            assert cell in text


def test_a_long_name_breaks_and_loses_nothing() -> None:
    output = io.StringIO()
    Console(file=output, width=40).print(table("T", ("LLM", "calls"), [("x" * 90, "12")]))
    assert output.getvalue().count("x") == 90
    assert "12" in output.getvalue()


def test_columns_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert console().width == 80


def test_an_interrupted_profile_says_how_to_go_on(tmp_path: Path) -> None:
    partial = tmp_path / "profile.json.partial.jsonl"
    assert "the same command starts again" in goes_on(partial)
    partial.write_text("{}\n")
    assert f"is in {partial}; the same command goes on from there" in goes_on(partial)


@pytest.mark.parametrize("grouped", [False, True])
def test_an_error_of_a_file_is_one_line(
    grouped: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(28, "No space left on device", "calls.jsonl")

    def fail(**_: object) -> None:
        raise BaseExceptionGroup("tasks", [full]) if grouped else full

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "scepsy: calls.jsonl: cannot be used: No space left on device\n"
    )


def test_a_deployment_needs_a_place() -> None:
    code, output, _ = scepsy("deploy", ASSETS / "plan.json", "--dry-run")
    assert code == 2
    assert "Missing option '--on'. Choose from:" in output


@pytest.mark.parametrize("text", ["x: [", "only words", "- a\n- b\n", ""])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    _, _, wrong = scepsy("status", "--on", "kubernetes", "--kubeconfig", path)
    assert isinstance(wrong, BadInput)
    assert str(path) in str(wrong)


def test_every_option_is_explained_and_its_words_end_before_its_default() -> None:
    clipped = [
        f"{name} {option.opts[0]}: {option.help}"
        for name, command in _commands(cli, "scepsy")
        for option in command.params
        if isinstance(option, click.Option)
        and not (option.help or "").partition("[default")[0].rstrip().endswith(".")
    ]
    assert not clipped


def _commands(group: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for word in group.list_commands(context):
            command = group.get_command(context, word)
            assert command is not None
            yield from _commands(command, f"{name} {word}")
