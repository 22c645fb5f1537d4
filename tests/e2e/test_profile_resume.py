"""A profile that is killed at any moment goes on where it was, and ends as if it had not been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from builders import call
from e2e.processes import Marked, marked
from scepsy.core.profile import Curve, Profile
from scepsy.core.trace import BLOCK_CHARS, RunMark
from scepsy.curves.rounds import Round
from scepsy.store import TraceWriter, read_profile
from scepsy.store.lines import read_lines

pytestmark = pytest.mark.e2e

LLM = """
[[llms]]
name = "{name}"
parameters = 8e9
layers = 32
hidden = 4096
kv_heads = 8
head_dim = 128
max_sequences = 8
max_tp = 1
"""
KILLS = 3


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Six runs that call two LLMs in turn, two calls at once."""
    with TraceWriter(tmp_path / "traces") as writer:
        for run in range(6):
            start = 10.0 * run
            for step, llm in enumerate(("a", "b") * 2):
                for twin in range(2):
                    begin = start + step
                    name = f"{run}/{step}/{twin}"
                    writer.append(
                        call(
                            llm, begin, begin + 0.6, run=f"r{run}", call=name, layer="header",
                            prompt_blocks=tuple(f"{name}/{block}" for block in range(4)),
                            prompt_chars=4 * BLOCK_CHARS, output_tokens=40,
                        )
                    )  # fmt: skip
            writer.mark(RunMark(run=f"r{run}", workflow="w", start=start, end=start + 4))
    (tmp_path / "cluster.toml").write_text('[[nodes]]\nname = "n"\ngpus = 2\n')
    (tmp_path / "llms.toml").write_text("".join(LLM.format(name=name) for name in "ab"))
    return tmp_path


def arguments(files: Path, out: Path) -> tuple[str | Path, ...]:
    return (
        "profile", files / "traces", "--cluster", files / "cluster.toml",
        "--llms", files / "llms.toml", "--shares", "1", "--budget", "6", "--max-rate", "20",
        "--time-scale", "2", "--out", out, "--json",
    )  # fmt: skip


def rounds(path: Path) -> list[Round]:
    return [one for _, one in read_lines(path, Round, [])] if path.exists() else []


def test_a_profile_that_is_killed_again_and_again_is_the_same(files: Path) -> None:
    rng = random.Random(20261121)
    whole, broken = files / "whole.json", files / "broken.json"
    partial = files / "broken.json.partial.jsonl"
    seen: list[Round] = []
    with marked() as run:
        done = run.scepsy(*arguments(files, whole))
        assert done.returncode == 0, done.stderr
        for _ in range(KILLS):
            killed_after(run, rng.uniform(1.0, 5.0), arguments(files, broken))
            found = rounds(partial)
            assert found[: len(seen)] == seen, "a finished round was lost or measured again"
            seen = found
        assert seen, "nothing was kept of any of the killed profiles"
        assert len({(one.key, one.kind, one.rate, one.number) for one in seen}) == len(seen)
        assert not broken.exists()
        done = run.scepsy(*arguments(files, broken))
        assert done.returncode == 0, done.stderr
    assert not partial.exists()
    assert json.loads(done.stdout)["curves"]
    alike(read_profile(whole), read_profile(broken))


def killed_after(run: Marked, seconds: float, command: tuple[str | Path, ...]) -> None:
    process = run.popen(*command)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


def alike(one: Profile, other: Profile) -> None:
    """Within the noise that the points state, and what two sweeps of seconds may differ in."""
    assert [key(curve) for curve in one.curves] == [key(curve) for curve in other.curves]
    for mine, theirs in zip(one.curves, other.curves, strict=True):
        assert mine.max_throughput == pytest.approx(theirs.max_throughput, rel=0.3)
        for used in (0.0, 0.5):
            (a, noise_a), (b, noise_b) = at(mine, used), at(theirs, used)
            assert abs(a - b) < 0.15 * a + 3 * (noise_a + noise_b)


def key(curve: Curve) -> tuple[object, ...]:
    return (
        curve.llm, curve.workflow, curve.tp, curve.gpu_share, curve.engine, curve.machine,
        curve.flags, curve.gpu_type,
    )  # fmt: skip


def at(curve: Curve, used: float) -> tuple[float, float]:
    """Latency and noise at a part of saturation."""
    rates = [point.rate / curve.max_throughput for point in curve.points]
    latency = np.interp(used, rates, [point.latency for point in curve.points])
    noise = np.interp(used, rates, [point.noise for point in curve.points])
    return float(latency), float(noise)
