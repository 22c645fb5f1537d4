"""The engines that must be profiled: every LLM at every TP degree and GPU share that a plan could
use (pure).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import size_name
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.search import floors

DEFAULT_SHARES = (0.1, 0.3, 0.5, 1.0)
"""GPU shares that are measured at TP1. Curves of other shares are interpolated."""

EFFORT_MIN = 0.5
"""Part of the usual measuring time for LLMs in which runs spend little time."""

EFFORT_MAX = 2.0
"""Part of the usual measuring time for LLMs in which runs spend most of their time."""

WHOLE_GPU_FLOOR = 0.5
"""Part of a GPU's memory. A replica that needs more leaves too little memory for a neighbour, so it
is measured on a whole GPU only.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One engine to start and measure.

    Attributes:
        tp: tensor-parallel degree.
        gpu_share, memory_share: part of the compute and of the memory of each GPU, 0 to 1.
        workflows: the workflows whose calls are replayed.
        time_share: the LLM's part of a workflow's traced LLM time, 0 to 1; the largest of any
            workflow.
    """

    llm: LlmSpec
    tp: int
    gpu_share: float
    memory_share: float
    workflows: tuple[str, ...]
    time_share: float = 0.5

    @property
    def effort(self) -> float:
        """Factor on the usual measuring time: proportional to the time share, because noise in the
        curve of an LLM matters as much as the LLM contributes to the latency of a run.
        """
        return min(EFFORT_MAX, max(EFFORT_MIN, 2 * self.time_share))

    def __str__(self) -> str:
        return f"{self.llm.name} {size_name(self.tp, self.gpu_share)}"


def jobs(
    traces: Sequence[Trace],
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    shares: Sequence[float] = DEFAULT_SHARES,
    *,
    share_groups: bool = False,
) -> tuple[Job, ...]:
    """All jobs, the longest and largest first, so that GPUs do not stand idle at the end. LLMs at
    endpoints have none. With `share_groups`, shares of TP groups are measured too.

    Raises:
        BadInput: there is nothing to profile, or the traces call an LLM that `llms` does not
            describe, or one that no GPU can hold.
    """
    shares_of = _time_shares(traces)
    if not shares_of:
        raise BadInput("the traces hold no successful call in a successful run: nothing to profile")
    known = {llm.name: llm for llm in llms}
    found: list[Job] = []
    for name, by_workflow in sorted(shares_of.items()):
        if name not in known:
            raise BadInput(
                f"the traces call LLM {name!r}, which the LLM file does not describe "
                f"(it has {', '.join(sorted(known)) or 'none'}); add a [[llms]] entry for it"
            )
        if known[name].hosted:
            continue
        sizes = _sizes(known[name], cluster, shares, share_groups=share_groups)
        if not sizes:
            raise BadInput(
                f"LLM {name!r} does not fit: {known[name].weight_bytes / 1e9:.1f} GB of weights, "
                f"at most TP{known[name].max_tp} on GPUs of {cluster.gpu_memory / 1e9:.0f} GB"
            )
        workflows, most = tuple(sorted(by_workflow)), max(by_workflow.values())
        found += [Job(known[name], *size, workflows, most) for size in sizes]
    return tuple(sorted(found, key=lambda job: (-job.effort, -job.tp, -job.gpu_share)))


def _time_shares(traces: Sequence[Trace]) -> dict[str, dict[str, float]]:
    """For each LLM, its part of the LLM time of each workflow that calls it. Failed calls and runs
    do not count.
    """
    spent: dict[str, dict[str, float]] = {}
    total: dict[str, float] = {}
    for trace in (trace for trace in traces if trace.ok):
        for call in (call for call in trace.calls if call.ok):
            of_llm = spent.setdefault(call.llm, {})
            of_llm[trace.workflow] = of_llm.get(trace.workflow, 0.0) + call.duration
            total[trace.workflow] = total.get(trace.workflow, 0.0) + call.duration
    return {
        llm: {name: time / total[name] if total[name] else 0.0 for name, time in of.items()}
        for llm, of in spent.items()
    }


def _sizes(
    llm: LlmSpec, cluster: Cluster, shares: Sequence[float], *, share_groups: bool
) -> list[tuple[int, float, float]]:
    """Each (tp, gpu_share, memory_share) that fits in memory."""
    fitting = {tp: floor for tp, floor in floors(llm, cluster).items() if floor <= 1}
    divided = [tp for tp in fitting if tp == 1 or share_groups]
    found = [(tp, 1.0, 1.0) for tp in fitting if tp not in divided]
    for tp in divided:
        found += [
            (tp, share, 1.0 if share >= 1 else max(share, fitting[tp]))
            for share in _worthwhile(sorted(shares), fitting[tp])
        ]
    return found


def _worthwhile(shares: Sequence[float], floor: float) -> list[float]:
    """The shares from the memory floor up, and the next one below it to interpolate from. A replica
    with far less compute than memory would leave compute that no other replica could use.
    """
    if floor > WHOLE_GPU_FLOOR:
        return [share for share in shares if share >= 1.0]
    below = [share for share in shares if share < floor]
    return below[-1:] + [share for share in shares if share >= floor]
