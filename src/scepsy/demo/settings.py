"""What the demo runs, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from scepsy.core.llm import EngineKind
from scepsy.errors import BadInput
from scepsy.profiler import SweepSettings

BEAM_RATE = 0.3
"""Target rate of beam search on emulated GPUs, in runs per second."""

RAG_RATE = 0.6
"""Target rate of RAG on emulated GPUs, in runs per second."""

CPU_RATE = 0.15
"""Target rate of each program on llama.cpp engines, in runs per second. It leaves the cores of a
laptop half idle: engines that wait for a core are slower than when each was profiled alone.
"""

CPU_RUNS = 6
"""Runs of each program in the measured window on llama.cpp engines, which are slow."""

VLLM_RATE = 0.12
"""Target rate of beam search on two vLLM engines with a core each, in runs per second."""

VLLM_RUNS = 5
"""Runs in the measured window on vLLM engines. An engine takes most of a minute to start, and four
are started one after another, which leaves little time for anything else.
"""

WINDOW = 14 / BEAM_RATE
"""Seconds of the measured window: 14 runs of beam search and 28 of RAG arrive in it. For a verdict
on the load of beam search, which needs 20 runs, there is no time in five minutes; the report says
so.
"""


@dataclass(frozen=True, slots=True)
class DemoProgram:
    """An agent program.

    Attributes:
        script: the Python file.
        inputs: a file with an input on each line.
        rate: target in runs per second.
        prepare: arguments with which the script sets up what all its runs share, for example a
            search index. Nothing is set up where there are none.
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
    """What the demo runs, on what, and for how long.

    Attributes:
        out: the demo's folder.
        seed: seed of what the LLMs say, and of when runs arrive.
        time_scale: how many times faster than real ones emulated GPUs run. All times below are
            seconds of the wall clock.
        trace_load: factor on the target rates at which runs are traced. They are the runs that are
            measured later.
        shares: GPU shares that are profiled at TP1.
        sweep: time that each engine is profiled for, and the highest rate.
        profile_parallel: engines that are profiled at the same time.
        duration: seconds of the measured window at the target rates.
        beyond, beyond_duration: a factor on the target rates at which the plan is driven, too, and
            seconds of that window.
        warmup: seconds of load before each window.
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
    """The demo on one kind of engine, with the example programs under `root`.

    Raises:
        BadInput: the demo does not know this engine.
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
    """Real engines that share a few cores. They are profiled one after another."""
    return DemoSettings(
        programs=_programs(root, CPU_RATE, CPU_RATE),
        engine="llamacpp",
        cluster=root / "examples" / "cluster.llamacpp.toml",
        llms=root / "examples" / "llms.llamacpp.toml",
        out=out,
        seed=seed,
        shares=(1.0,),
        sweep=SweepSettings(budget=20.0, max_rate=100.0),
        profile_parallel=1,
        duration=CPU_RUNS / CPU_RATE,
        beyond_duration=CPU_RUNS / (1.3 * CPU_RATE),
    )


def _vllm(root: Path, out: Path, seed: int) -> DemoSettings:
    """Beam search only: its two LLMs have a core each. The four LLMs of both programs would share
    two cores, and every start takes 1.5 GB of memory and 70 s of processor time.
    """
    beam_search, _ = _programs(root, VLLM_RATE, CPU_RATE)
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
        duration=VLLM_RUNS / VLLM_RATE,
        beyond_duration=VLLM_RUNS / (1.3 * VLLM_RATE),
    )


def _programs(root: Path, beam_rate: float, rag_rate: float) -> tuple[DemoProgram, ...]:
    examples = root / "examples"
    data = examples / "data"
    return (
        DemoProgram("beam_search", examples / "beam_search.py", data / "problems.txt", beam_rate),
        DemoProgram("rag", examples / "rag.py", data / "questions.txt", rag_rate, ("--index",)),
    )


def quick_settings(full: DemoSettings) -> DemoSettings:
    """The same demo in about forty seconds. It shows that everything works; its samples are too few
    for its figures to mean much. Only emulated GPUs can run faster than real ones.
    """
    sweep = SweepSettings(budget=8.0, max_rate=40.0)
    small = replace(full, sweep=sweep, warmup=1.0)
    if full.engine != "emulated":
        # vLLM's starts take most of the time, and its calls more than a second each.
        slower = full.sweep if full.engine == "vllm" else replace(sweep, budget=12.0)
        return replace(small, sweep=slower, duration=10.0, beyond_duration=8.0)
    return replace(small, time_scale=8.0, shares=(0.4, 1.0), duration=6.0, beyond_duration=4.0)
