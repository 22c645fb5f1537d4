"""Sources of step times: a table, the oracle's table, or the roofline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from scepsy.core.llm import LlmSpec
from scepsy.core.profile import Source
from scepsy.estimate.accuracy import relative_error
from scepsy.estimate.step_times.table import Table
from scepsy.hardware.gpus import gpu_constants, known_gpu
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import StepLoad, StepTimer, Timer

TableOf = Callable[[LlmSpec, int], Table | None]
"""(LLM, tp) -> its table on whole GPUs; None if there is none."""


class StepTimes(Protocol):
    """Step times of engines on GPUs of one type, from any source."""

    @property
    def gpu_type(self) -> str: ...
    @property
    def source(self) -> Source: ...
    def timer(self, llm: LlmSpec, tp: int, gpu_share: float) -> Timer | None:
        """None if this LLM is unknown at this size."""
        ...

    def request(self, llm: LlmSpec) -> float:
        """Seconds of a call outside of its steps."""
        ...

    def error(self, llm: LlmSpec) -> float:
        """Expected relative error of a mean latency."""
        ...


@dataclass(frozen=True, slots=True)
class TableTimer:
    """Steps of a table, each `host` seconds longer.

    On a share of a GPU they take longer by the same factor as those of the roofline (`share` over
    `whole`).
    """

    table: Table
    host: float
    per_kv_token: float
    whole: StepTimer | None = None
    share: StepTimer | None = None

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and the part of them, from 0 to 1, in which it reads memory."""
        seconds = self.table.at(load)
        if self.whole is None or self.share is None:
            return seconds + self.host, 1.0
        modelled, memory = self.share.cost(load)
        return seconds * modelled / self.whole.cost(load)[0] + self.host, memory


@dataclass(frozen=True, slots=True)
class Steps:
    """Step times of a table; of the roofline if there is no table."""

    gpu_type: str
    source: Source
    table_of: TableOf | None = None

    def request(self, llm: LlmSpec) -> float:
        return host_time(llm.engine).request

    def error(self, llm: LlmSpec) -> float:
        return relative_error(llm)

    def timer(self, llm: LlmSpec, tp: int, gpu_share: float) -> Timer | None:
        """None if the table lacks this LLM at this degree, or if a part of a GPU is asked for and
        the GPU type is unknown.
        """
        if self.table_of is None:
            return StepTimer(llm, gpu_constants(self.gpu_type), tp=tp, gpu_share=gpu_share)
        host = host_time(llm.engine).step
        table, gpu = self.table_of(llm, tp), known_gpu(self.gpu_type)
        if table is None or (gpu is None and gpu_share < 1):
            return None
        if gpu is None:
            return TableTimer(table, host, table.per_kv_token)
        whole = StepTimer(llm, gpu, tp=tp, host_overhead=0.0)
        share = StepTimer(llm, gpu, tp=tp, gpu_share=gpu_share, host_overhead=0.0)
        slope = table.per_kv_token * share.per_kv_token / whole.per_kv_token
        return TableTimer(table, host, slope, whole, share)
