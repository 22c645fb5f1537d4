"""On a terminal of 80 columns no table loses a head or a number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from report.synthetic_report import report
from scepsy.cli.demo import print_summary
from scepsy.cli.drive import print_result
from scepsy.cli.main import cli
from scepsy.cli.output import console
from scepsy.cli.plan import print_plan
from scepsy.cli.profile import print_profile
from scepsy.cli.status import print_status
from scepsy.deploy import Status
from scepsy.deploy.status import ReplicaStatus
from scepsy.drive import DriveResult, LlmLoad, RunOutcome
from scepsy.drive.statistics import measure
from scepsy.store import read_plan, read_profile

ASSETS = Path(__file__).resolve().parents[1] / "assets"
ROOT = ASSETS.parents[1]
LONG = "qwen3-235b-a22b-instruct-2507-fp8"


def status(screen: Console) -> None:
    replicas = tuple(
        ReplicaStatus(
            replica=f"{LONG}-{index}",
            llm=LONG,
            size="TP8",
            gpus=tuple(f"node-{index}/{gpu}" for gpu in range(8)),
            state="ready",
            in_flight=1234,
            served=5678901,
            failed=23,
            pid=4194303,
            restarts=3,
            last_words=f"{'torch.OutOfMemoryError: ' * 9}\nCUDA out of memory",
            url="http://127.0.0.1:65535",
        )
        for index in range(2)
    )
    url = "http://127.0.0.1:65535"
    notes = (f"{LONG}-0 failed 6 times in a row and is not restarted any more; and so on and on",)
    print_status(Status(name="default", gateway="ready", url=url, replicas=replicas, notes=notes))


def driven(screen: Console) -> None:
    runs = [RunOutcome(arrival=i / 4, latency=12.345 + i) for i in range(240)]
    load = LlmLoad(
        llm=LONG, replicas=12, readings=60, busy=0.987, running_mean=123.4, running_max=256,
        waiting_mean=1234.5, waiting_max=2345, kv_usage_mean=0.876, kv_usage_max=0.999,
    )  # fmt: skip
    flows = (measure("deep_research_with_tools", runs, 60), measure("rag", runs[:14], 60))
    result = DriveResult(workflows=flows, duration=60, warmup=5, seed=0, lag=0.01, llms=(load,))
    print_result(result, screen)


def invoked(*arguments: object) -> Callable[[Console], None]:
    def show(_: Console) -> None:
        done = CliRunner().invoke(cli, list(map(str, arguments)))
        click.echo(done.output)

    return show


SHOWN: dict[str, Callable[[Console], None]] = {
    "plan": lambda screen: print_plan(read_plan(ASSETS / "v1" / "plan.json"), screen),
    "plan, synthetic": lambda screen: print_plan(report().plan, screen),
    "profile": lambda screen: print_profile(read_profile(ASSETS / "v1" / "profile.json"), screen),
    "profile, synthetic": lambda screen: print_profile(report().profile, screen),
    "demo": lambda screen: print_summary(report().summary, screen),
    "drive": driven,
    "status": status,
    "traces": invoked("traces", ASSETS / "v1" / "traces"),
    "import": invoked("import", ASSETS / "foreign" / "langfuse.jsonl", "--out", "imported"),
    "profiles": invoked("profiles", *[ASSETS / "v1" / "profile.json"] * 2),
    "estimate": invoked(
        "estimate", ASSETS / "v1" / "traces", "--cluster", "4xh100", "--shares", "1",
        "--llms", ROOT / "examples" / "llms.toml",
    ),
    "simulate": invoked(
        "simulate", ASSETS / "v1" / "plan.json", "--traces", ASSETS / "v1" / "traces",
        "--rate", "rag=0.5", "--duration", "400",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_no_head_and_no_number_is_cut(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(columns: int) -> str:
        folder = tmp_path / str(columns)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", str(columns))
        SHOWN[name](console())
        return capsys.readouterr().out

    wide, narrow = printed(400), printed(80)
    assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
    frames = [line for line in narrow.splitlines() if line[:1] in "┏┃┡│└"]
    assert frames
    assert all(len(line) <= 80 for line in frames)
    assert cells(wide) <= cells(narrow) | pieces(wide, narrow)
    bars = [line for line in narrow.splitlines() if line.rstrip().endswith("#")]
    assert all(len(line) <= 80 and not line.startswith("#") for line in bars)


def cells(printed: str) -> set[str]:
    """Every word in the tables."""
    lines = [line for line in printed.splitlines() if line[:1] in "┃│"]
    return set(" ".join(lines).replace("│", " ").replace("┃", " ").split())


def pieces(wide: str, narrow: str) -> set[str]:
    """Names that are too long for their column, and that stand there on several lines: a first
    column folds, and no other does.
    """
    firsts = [line[1:].split("│")[0].strip() for line in narrow.splitlines() if line[:1] == "│"]
    return {word for word in cells(wide) if len(word) > 16 and word in "".join(firsts)}
