"""The available sources of step times, the best first."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from scepsy.errors import BadInput, NotFound
from scepsy.estimate.step_times.files import cache_directory, oracle_table, read_tables
from scepsy.estimate.step_times.steps import Steps, StepTimes
from scepsy.hardware.gpus import gpu_constants, known_gpu

StepSource = Literal["auto", "table", "aiconfigurator", "roofline"]
SOURCES: tuple[StepSource, ...] = get_args(StepSource)


def steps_from(source: StepSource, gpu_type: str, table_path: Path | None) -> tuple[StepTimes, ...]:
    """The sources to try for each replica, in order.

    Raises:
        NotFound: the file or the package does not exist.
        BadInput: `--source table` without a table, or an unknown GPU type.
    """
    if source == "table" and table_path is None:
        raise BadInput("--source table needs --table FILE")
    found: list[StepTimes] = []
    if table_path is not None and source in ("auto", "table"):
        tables = read_tables(table_path)
        found.append(Steps(gpu_type, "tabulated", lambda llm, tp: tables.get((llm.name, tp))))
    installed = find_spec("aiconfigurator_core") is not None
    if source == "aiconfigurator" and not installed:
        raise NotFound("aiconfigurator is not installed: pip install 'scepsy[aiconfigurator]'")
    if installed and source in ("auto", "aiconfigurator"):
        cache = cache_directory() / "steps"
        found.append(
            Steps(
                gpu_type,
                "tabulated",
                lambda llm, tp: oracle_table(llm, gpu_type, tp, cache),
            )
        )
    if source == "roofline" or (source == "auto" and known_gpu(gpu_type) is not None):
        gpu_constants(gpu_type)
        found.append(Steps(gpu_type, "modelled"))
    if not found:
        gpu_constants(gpu_type)
    return tuple(found)
