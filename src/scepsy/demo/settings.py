"""What the demo runs, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from scepsy.profiler import SweepSettings

BEAM_RATE, RAG_RATE = 0.3, 0.6
"""Target rates of the two programs, in runs per second."""

TRACED_RUNS = 14
"""Inputs of each program: traced once, then driven equally often in the measured window."""


@dataclass(frozen=True, slots=True)
class Program:
    """One agent program: its file, its inputs (one per line), its target in runs per second.

    `prepare` are the arguments with which it sets up what all its runs share, a search index say.
    """

    workflow: str
    script: Path
    inputs: Path
    rate: float
    prepare: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        return f"{self.script}:run"


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The demo's knobs.

    Seconds of the wall clock; emulated GPUs run `time_scale` times faster than real ones.
    `duration` is that of driving at the targets, `beyond_duration` at `beyond` times them.
    """

    programs: tuple[Program, ...]
    cluster: Path
    llms: Path
    out: Path
    seed: int = 0
    time_scale: float = 1.0
    traced_runs: int = TRACED_RUNS
    trace_jobs: int = 2
    shares: tuple[float, ...] = (0.1, 0.4, 1.0)
    sweep: SweepSettings = field(
        default_factory=lambda: SweepSettings(
            seconds=6.0, saturation_seconds=5.0, idle_seconds=4.0, max_rate=40.0
        )
    )
    profile_parallel: int = 6
    duration: float = TRACED_RUNS / BEAM_RATE
    beyond: float = 1.3
    beyond_duration: float = TRACED_RUNS / (1.3 * RAG_RATE)
    warmup: float = 5.0


def default_settings(root: Path, out: Path, seed: int) -> DemoSettings:
    """The demo of `make demo`, on the example programs under `root`."""
    examples = root / "examples"
    data = examples / "data"
    return DemoSettings(
        programs=(
            Program("beam_search", examples / "beam_search.py", data / "problems.txt", BEAM_RATE),
            Program("rag", examples / "rag.py", data / "questions.txt", RAG_RATE, ("--index",)),
        ),
        cluster=examples / "cluster.toml",
        llms=examples / "llms.toml",
        out=out,
        seed=seed,
    )


def quick_settings(full: DemoSettings) -> DemoSettings:
    """The same in about forty seconds, with too few samples for its figures to mean much."""
    sweep = SweepSettings(
        utilisations=(0.5, 0.9),
        seconds=1.5,
        saturation_seconds=1.5,
        idle_seconds=1.0,
        max_rate=40.0,
    )
    return replace(
        full,
        time_scale=8.0,
        traced_runs=3,
        shares=(0.4, 1.0),
        sweep=sweep,
        duration=6.0,
        beyond_duration=4.0,
        warmup=1.0,
    )
