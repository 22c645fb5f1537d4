"""What the demo runs, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scepsy.profiler import SweepSettings


@dataclass(frozen=True, slots=True)
class Program:
    """One agent program: its file, its inputs (one per line), and the rate to sustain in runs per
    second.
    """

    workflow: str
    script: Path
    inputs: Path
    rate: float

    @property
    def function(self) -> str:
        return f"{self.script}:run"


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The demo's knobs.

    Seconds of the wall clock; emulated GPUs run `time_scale` times faster than real ones.
    """

    programs: tuple[Program, ...]
    cluster: Path
    llms: Path
    out: Path
    seed: int = 0
    time_scale: float = 3.0
    traced_runs: int = 24
    trace_jobs: int = 2
    shares: tuple[float, ...] = (0.1, 0.3, 0.5, 1.0)
    sweep: SweepSettings = field(default_factory=lambda: SweepSettings(max_rate=60.0))
    profile_parallel: int = 5
    duration: float = 60.0
    low_duration: float = 20.0
    low_rate: float = 0.4
    warmup: float = 6.0


def default_settings(root: Path, out: Path, seed: int) -> DemoSettings:
    """The demo of `make demo`, on the example programs under `root`."""
    examples = root / "examples"
    return DemoSettings(
        programs=(
            Program(
                "beam_search", examples / "beam_search.py", examples / "data/problems.txt", 1.0
            ),
            Program("rag", examples / "rag.py", examples / "data/questions.txt", 1.5),
        ),
        cluster=examples / "cluster.toml",
        llms=examples / "llms.toml",
        out=out,
        seed=seed,
    )
