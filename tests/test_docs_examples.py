"""Commands of docs/start/own-program.md that need no engine, and the example of the Python API, as
they stand in the docs.
"""

from __future__ import annotations

import re
import shlex
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders import call, curve
from scepsy.cli.main import cli
from scepsy.core.profile import Profile
from scepsy.store import TraceWriter, write_record

DOCS = Path(__file__).resolve().parents[1] / "docs"
LLMS = '[[llms]]\nname = "writer"\narchitecture = "llama-3.1-8b"\n'
CLUSTER = '[[nodes]]\nname = "node-0"\ngpus = 2\n'


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page has made so far: traces of a workflow, a profile, and two TOML files."""
    monkeypatch.chdir(tmp_path)
    with TraceWriter(tmp_path / "traces") as writer:
        for run, step in product(range(12), range(3)):
            start = 10.0 * run + step
            labels = {"run": f"r{run}", "workflow": "agent", "layer": "header"}
            writer.append(call("writer", start, start + 0.5, **labels))
    curves = tuple(
        curve("writer", {0: 0.5 / tp, 20: 0.9 / tp}, workflow="agent", tp=tp, max_throughput=25)
        for tp in (1, 2)
    )
    write_record(tmp_path / "profile.json", Profile(curves=curves))
    (tmp_path / "llms.toml").write_text(LLMS)
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    return tmp_path


def test_the_commands_of_the_page_follow_each_other(workplace: Path) -> None:
    page = (DOCS / "start" / "own-program.md").read_text(encoding="utf-8")
    for command in ("traces", "plan", "simulate"):
        [line] = re.findall(rf"^    scepsy ({command} .*)$", page, re.MULTILINE)
        done = CliRunner().invoke(cli, shlex.split(line))
        assert done.exit_code == 0, done.output
    assert (workplace / "plan.json").is_file()


def test_the_example_of_the_python_api_runs(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = (DOCS / "hooks" / "api.py").read_text(encoding="utf-8")
    [example] = re.findall(r'EXAMPLE = """(.*?)"""', hook, re.DOTALL)
    exec(compile(example, "example", "exec"), {})  # the page's own code
    assert float(capsys.readouterr().out) > 0
