"""The objects under examples/kubernetes are what `scepsy render` writes today, and are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from schema_validation import VERSIONS, validate

from scepsy.cli.main import cli
from scepsy.deploy.kubernetes.objects import check
from scepsy.store import read_plan

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "kubernetes"
COMMANDS = re.findall(
    r"^    (scepsy render .*)$", (EXAMPLES / "README.md").read_text(), re.MULTILINE
)
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/plan.json"))


def committed(folder: Path) -> list[dict[str, Any]]:
    return [
        one
        for path in sorted((folder / "objects").glob("*.yaml"), reverse=True)
        for one in yaml.safe_load_all(path.read_text())
    ]


def test_each_example_has_a_command() -> None:
    assert len(COMMANDS) == len(FOLDERS) == 3


@pytest.mark.parametrize("line", COMMANDS)
def test_rendering_again_gives_the_committed_bytes(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(line)[1:]
    folder = Path(words[words.index("--out") + 1])
    words[words.index("--out") + 1] = str(tmp_path)
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    again = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert again == {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_objects_are_valid_and_would_be_accepted_together(folder: Path) -> None:
    objects = committed(folder)
    assert not check(objects)
    assert validate(objects) >= len(objects)
    assert VERSIONS[-1] == "1.37"
    replicas = {one.replica for one in read_plan(folder / "plan.json").placement.replicas}
    named = [
        one["metadata"]["annotations"]["scepsy/replica-name"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    assert sorted(named) == sorted(replicas)
