"""What all jobs of a profile share, and the digest of what one job's outcome depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve
from scepsy.core.trace import Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.fitted_timer import FittedTimer
from scepsy.curves.jobs import Job
from scepsy.curves.simulated_engine import EngineModel
from scepsy.engines import Engine, EngineOptions, EngineResources, gpu_board
from scepsy.hardware.memory import kv_capacity
from scepsy.hardware.step_time import Timer
from scepsy.profiler.calibrate import ModelOf
from scepsy.profiler.machine import machine
from scepsy.profiler.sweep.next_round import SweepSettings
from scepsy.sim.workload.prefixes import prompt_blocks

OnProgress = Callable[[Job, str, float], None]
"""Called with a job, what it does now in words, and the seconds left of its budget."""

DONE = "done"
"""What `OnProgress` is called with when a job has ended."""


def gpus_over_all_nodes(cluster: Cluster) -> set[int]:
    """The free GPUs, counted from 0 over all nodes in their order."""
    firsts = accumulate((node.gpus for node in cluster.nodes), initial=0)
    counted = zip(firsts, cluster.nodes, strict=False)
    return {first + gpu for first, node in counted for gpu in node.free}


def gpus_of_one_node(cluster: Cluster) -> set[int]:
    """The free GPUs of the node that has most of them, by their numbers on it."""
    return set(max((node.free for node in cluster.nodes), key=len))


@dataclass(frozen=True, slots=True)
class ProfileSetup:
    """What all jobs of a profile share.

    Attributes:
        traces: the traced runs whose calls are replayed.
        settings: how thoroughly to measure.
        options: how to start engines.
        logs: directory for the engines' logs.
        state: the state directory of deployments. Emulated engines count memory on its GPUs.
        mix: runs per second of each workflow, relative; 1 where not named.
    """

    traces: Sequence[Trace]
    cluster: Cluster
    settings: SweepSettings
    options: EngineOptions
    logs: Path
    state: Path
    on_progress: OnProgress
    mix: Mapping[str, float] = field(default_factory=dict[str, float])

    def resources(self, job: Job, gpus: tuple[int, ...] = ()) -> EngineResources:
        return EngineResources(
            tp=job.tp,
            gpu_share=job.gpu_share,
            memory_share=job.memory_share,
            gpu_type=self.cluster.nodes[0].gpu_type,
            gpu_memory=self.cluster.gpu_memory,
            gpus=gpus,
            boards=tuple(str(self._boards[gpu]) for gpu in gpus),
        )

    @property
    def _boards(self) -> list[Path]:
        """Of every GPU, in the order in which the profiler counts them over all nodes."""
        return [
            gpu_board(self.state, node.name, gpu)
            for node in self.cluster.nodes
            for gpu in range(node.gpus)
        ]

    def stream(self, job: Job) -> Stream:
        return Stream(
            runs={
                name: bursts_of([t for t in self.traces if t.workflow == name], job.llm.name)
                for name in job.workflows
            },
            rates={name: self.mix.get(name, 1.0) for name in job.workflows},
        )

    def curve_template(self, job: Job, engine: Engine) -> Curve:
        """A curve of this job with everything but the measurements."""
        return Curve(
            llm=job.llm.name,
            workflow="",
            tp=job.tp,
            gpu_share=job.gpu_share,
            points=(),
            max_throughput=0.0,
            engine=f"{engine.kind} {engine.version()}",
            gpu_type=self.cluster.nodes[0].gpu_type,
            time_scale=self.options.time_scale,
            mix={name: self.mix.get(name, 1.0) for name in job.workflows},
            machine=machine(),
            flags=job.llm.flags,
        )

    def model_of(self, job: Job) -> ModelOf | None:
        """The job's engine in simulated time, with fitted step times; None for LLMs that generate
        no text, whose step times are fitted to the idle engine alone.
        """
        if job.llm.kind != "generate":
            return None
        engine = self.simulated_engine(job)
        return lambda steps: engine(FittedTimer(steps))

    def simulated_engine(self, job: Job) -> Callable[[Timer], EngineModel]:
        """The job's engine in simulated time, from step times that include the time of a call
        outside of its steps.
        """
        runs = self.stream(job).runs.values()
        blocks = prompt_blocks(c for of in runs for run in of for burst in run for c in burst.calls)
        kv_tokens = kv_capacity(
            job.llm, tp=job.tp, memory_share=job.memory_share, gpu_memory=self.cluster.gpu_memory
        )
        return lambda timer: EngineModel(job.llm, timer, kv_tokens, 0.0, blocks)

    def key(self, job: Job, template: Curve) -> str:
        """Digest of everything that the outcome of a round depends on, except for noise."""
        stream = self.stream(job)
        parts = (
            job.llm,
            template,
            asdict(self.resources(job)),
            asdict(self.settings.times(job.effort)),
            self.options.seed,
            {
                name: [[burst.calls for burst in run] for run in runs]
                for name, runs in stream.runs.items()
            },
        )
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
