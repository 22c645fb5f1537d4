"""A plan deployed for real: a replica killed under load, a plan changed, everything down."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.processes import ROOT, Marked, marked
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Target
from scepsy.demo.manual_plans import even_split
from scepsy.store import write_record

pytestmark = pytest.mark.e2e

CLUSTER = Cluster(nodes=(Node(name="n", gpus=4),))
PROGRAM = """
from openai import AsyncOpenAI

client = AsyncOpenAI(max_retries=0)


async def run(question="why"):
    for step in range(3):
        answer = await client.chat.completions.create(
            model="talker",
            messages=[{"role": "user", "content": f"{question} {step}"}],
            max_tokens=32,
        )
    return answer.choices[0].message.content
"""


def plan_file(path: Path, gpus: int = 4) -> Path:
    """One small LLM, a replica on each of `gpus` GPUs."""
    llm = LlmSpec(name="talker", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)
    cluster = Cluster(nodes=(Node(name="n", gpus=gpus),))
    write_record(path, even_split([llm], cluster, [Target(workflow="w", rate=1)]))
    return path


def deploy(run: Marked, plan: Path, state: Path, *more: str) -> str:
    done = run.scepsy(
        "deploy", plan, "--on", "local", "--state", state, "--time-scale", "4", "--json", *more
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["url"]


def status(run: Marked, state: Path) -> tuple[int, dict[str, object]]:
    done = run.scepsy("status", "--state", state, "--json")
    return done.returncode, json.loads(done.stdout)


def states(told: dict[str, object]) -> list[str]:
    return [replica["state"] for replica in told["replicas"]]  # type: ignore[index, attr-defined]


def test_a_killed_replica_loses_no_call_and_status_tells(tmp_path: Path) -> None:
    state, program = tmp_path / "state", tmp_path / "agent.py"
    program.write_text(PROGRAM)
    with marked() as run:
        url = deploy(run, plan_file(tmp_path / "plan.json"), state)
        assert status(run, state)[0] == 0
        driver = subprocess.Popen(
            [sys.executable, "-m", "scepsy", "drive", f"{program}:run", "--rate", "8",
             "--duration", "6", "--warmup", "0", "--gateway", url, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=run.environment,
            cwd=ROOT,
        )  # fmt: skip
        time.sleep(3.5)
        told = status(run, state)[1]
        os.kill(told["replicas"][0]["pid"], signal.SIGKILL)  # type: ignore[index]
        out, err = driver.communicate(timeout=60)
        assert driver.returncode == 0, err
        flow = json.loads(out)["workflows"][0]
        assert flow["failed"] == 0
        assert flow["completed"] == 48
        # The supervisor brings the dead one back; the others stay.
        pids = {r["pid"] for r in told["replicas"][1:]}  # type: ignore[index]
        end = time.monotonic() + 60
        while (found := status(run, state))[0] != 0 and time.monotonic() < end:
            time.sleep(0.5)
        code, told = found
        assert code == 0
        assert pids < {r["pid"] for r in told["replicas"]}  # type: ignore[attr-defined]
        assert sorted(r["restarts"] for r in told["replicas"]) == [0, 0, 0, 1]  # type: ignore[attr-defined]
        assert run.scepsy("down", "--state", state).returncode == 0
    assert [path.name for path in state.iterdir()] == [".gpus"]


def test_a_changed_plan_keeps_the_gateway_and_what_stays(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with marked() as run:
        url = deploy(run, plan_file(tmp_path / "two.json", gpus=2), state)
        before = {r["pid"] for r in status(run, state)[1]["replicas"]}  # type: ignore[attr-defined]
        assert deploy(run, plan_file(tmp_path / "three.json", gpus=3), state) == url
        after = {r["pid"] for r in status(run, state)[1]["replicas"]}  # type: ignore[attr-defined]
        assert before < after
        assert deploy(run, plan_file(tmp_path / "one.json", gpus=1), state) == url
        assert len(states(status(run, state)[1])) == 1
        run.scepsy("down", "--state", state)
        port = int(url.rpartition(":")[2])
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))  # free again


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with marked() as run, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plan = plan_file(tmp_path / "plan.json", gpus=1)
        done = run.scepsy(
            "deploy", plan, "--on", "local", "--state", tmp_path / "s", "--port", str(port)
        )
        assert done.returncode == 5
        assert str(port) in done.stderr
    assert [path.name for path in (tmp_path / "s").iterdir()] == [".gpus"]


def test_a_deployment_says_how_fast_emulated_engines_run(tmp_path: Path) -> None:
    with marked() as run:
        plan = plan_file(tmp_path / "plan.json", gpus=1)
        flags = ("--on", "local", "--state", tmp_path / "state", "--time-scale")
        told = run.scepsy("deploy", plan, *flags, "4")
        assert told.returncode == 0, told.stderr
        assert "emulated and run 4" in told.stdout
        assert max(map(len, told.stdout.splitlines())) <= 80
        assert run.scepsy("down", "--state", tmp_path / "state").returncode == 0


def test_a_dry_run_prints_the_waves_and_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with marked() as run:
        plan = plan_file(tmp_path / "plan.json", gpus=2)
        told = run.scepsy("deploy", plan, "--on", "local", "--state", state, "--dry-run")
        assert told.returncode == 0, told.stderr
        assert "start talker-0" in told.stdout
        assert max(map(len, told.stdout.splitlines())) <= 80
        assert run.scepsy("status", "--state", state).returncode == 3
