"""What all jobs of a profile share, and the digest of what one job's outcome depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve
from scepsy.core.trace import Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.jobs import Job
from scepsy.engines import Engine, EngineOptions, EngineResources, gpu_board
from scepsy.profiler.machine import machine
from scepsy.profiler.sweep.next_round import SweepSettings

OnProgress = Callable[[Job, str, float], None]
"""Called with a job, what it does now in words, and the seconds left of its budget."""

DONE = "done"
"""What `OnProgress` is called with when a job has ended."""


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
