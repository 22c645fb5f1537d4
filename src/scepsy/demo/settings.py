"""What the demo runs, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from scepsy.core.llm import EngineKind
from scepsy.errors import BadInput
from scepsy.profiler import SweepSettings

BEAM_RATE, RAG_RATE = 0.3, 0.6
"""Target rates of the two programs, in runs per second."""

CPU_BEAM_RATE, CPU_RAG_RATE = 0.15, 0.15
"""The same for real engines on the cores of a laptop."""
CPU_RUNS = 6

VLLM_BEAM_RATE = 0.12
VLLM_RUNS = 5
"""An engine takes most of a minute to start, and is started four times: little else may take long.
"""

WINDOW = 14 / BEAM_RATE
"""Seconds of the measured window: 14 runs of beam search and 28 of RAG arrive in it."""


@dataclass(frozen=True, slots=True)
class DemoProgram:
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
    `duration` is that of driving at the targets, `beyond_duration` at `beyond` times them. The same
    runs are traced before, at `trace_load` times the targets.
    """

    programs: tuple[DemoProgram, ...]
    engine: EngineKind
    cluster: Path
    llms: Path
    out: Path
    seed: int = 0
    time_scale: float = 1.0
    trace_load: float = 1.0
    shares: tuple[float, ...] = (0.1, 0.4, 1.0)
    sweep: SweepSettings = field(default_factory=lambda: SweepSettings(budget=36.0, max_rate=40.0))
    profile_parallel: int = 6
    duration: float = WINDOW
    beyond: float = 1.3
    beyond_duration: float = 18.0
    warmup: float = 5.0


def settings_for(engine: EngineKind, root: Path, out: Path, seed: int) -> DemoSettings:
    """The demo of one kind of engine, on the example programs under `root`.

    Raises BadInput for an engine that the demo does not know.
    """
    match engine:
        case "emulated":
            return _emulated(root, out, seed)
        case "llamacpp":
            return _llamacpp(root, out, seed)
        case "vllm":
            return _vllm(root, out, seed)
        case _:
            raise BadInput(f"there is no demo on the {engine} engine")


def _emulated(root: Path, out: Path, seed: int) -> DemoSettings:
    return DemoSettings(
        programs=_programs(root, BEAM_RATE, RAG_RATE),
        engine="emulated",
        cluster=root / "examples" / "cluster.toml",
        llms=root / "examples" / "llms.toml",
        out=out,
        seed=seed,
        trace_load=1.25,
    )


def _llamacpp(root: Path, out: Path, seed: int) -> DemoSettings:
    """On real engines that share a few cores: rates that leave these half idle, as engines that
    wait for a core would break what was measured of each alone.
    """
    return DemoSettings(
        programs=_programs(root, CPU_BEAM_RATE, CPU_RAG_RATE),
        engine="llamacpp",
        cluster=root / "examples" / "cluster.llamacpp.toml",
        llms=root / "examples" / "llms.llamacpp.toml",
        out=out,
        seed=seed,
        shares=(1.0,),
        sweep=SweepSettings(budget=20.0, max_rate=100.0),
        profile_parallel=1,
        duration=CPU_RUNS / CPU_BEAM_RATE,
        beyond_duration=CPU_RUNS / (1.3 * CPU_RAG_RATE),
    )


def _vllm(root: Path, out: Path, seed: int) -> DemoSettings:
    """Beam search only: its two LLMs have a core each. The four of both programs would share two
    cores, at 1.5 GB and 70 s of processor time for every start.
    """
    beam_search, _ = _programs(root, VLLM_BEAM_RATE, CPU_RAG_RATE)
    return DemoSettings(
        programs=(beam_search,),
        engine="vllm",
        cluster=root / "examples" / "cluster.vllm.toml",
        llms=root / "examples" / "llms.vllm.toml",
        out=out,
        seed=seed,
        shares=(1.0,),
        sweep=SweepSettings(budget=45.0, max_rate=60.0),
        profile_parallel=1,
        duration=VLLM_RUNS / VLLM_BEAM_RATE,
        beyond_duration=VLLM_RUNS / (1.3 * VLLM_BEAM_RATE),
    )


def _programs(root: Path, beam_rate: float, rag_rate: float) -> tuple[DemoProgram, ...]:
    examples = root / "examples"
    data = examples / "data"
    return (
        DemoProgram("beam_search", examples / "beam_search.py", data / "problems.txt", beam_rate),
        DemoProgram("rag", examples / "rag.py", data / "questions.txt", rag_rate, ("--index",)),
    )


def quick_settings(full: DemoSettings) -> DemoSettings:
    """The same in about forty seconds, with too few samples for its figures to mean much.

    Only the emulated GPUs can be sped up.
    """
    sweep = SweepSettings(budget=5.0, max_rate=40.0)
    small = replace(full, sweep=sweep, warmup=1.0)
    if full.engine != "emulated":
        # vLLM's starts take most of the time, and its calls more than a second each.
        slower = full.sweep if full.engine == "vllm" else replace(sweep, budget=12.0)
        return replace(small, sweep=slower, duration=10.0, beyond_duration=8.0)
    return replace(small, time_scale=8.0, shares=(0.4, 1.0), duration=6.0, beyond_duration=4.0)
