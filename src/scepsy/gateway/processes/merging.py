"""Adds up what several gateway processes count (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scepsy.gateway.metrics import GatewayStatus, LlmCounts, ReplicaCounts

_HEALTHY = "scepsy_gateway_replica_healthy"


def summed_status(statuses: Sequence[GatewayStatus], started: float) -> GatewayStatus:
    """The counts of all processes. A replica is healthy if every process thinks so, and routed if
    one sends calls to it.
    """
    replicas: dict[tuple[str, str, str], ReplicaCounts] = {}
    llms: dict[str, LlmCounts] = {}
    for one in statuses:
        for replica in one.replicas:
            key = (replica.llm, replica.replica, replica.url)
            known = replicas.get(key)
            replicas[key] = replica if known is None else _both_replicas(known, replica)
        for llm in one.llms:
            other = llms.get(llm.llm)
            llms[llm.llm] = llm if other is None else _both_llms(other, llm)
    return GatewayStatus(
        started=started,
        in_flight=sum(one.in_flight for one in statuses),
        recorded=sum(one.recorded for one in statuses),
        waiting=sum(one.waiting for one in statuses),
        unwritten=sum(one.unwritten for one in statuses),
        refused_labels=sum(one.refused_labels for one in statuses),
        cut=dict(sum((Counter(one.cut) for one in statuses), Counter[str]())),
        replicas=tuple(replicas.values()),
        llms=tuple(llms.values()),
        processes=len(statuses),
    )


def _both_replicas(one: ReplicaCounts, other: ReplicaCounts) -> ReplicaCounts:
    return msgspec.structs.replace(
        one,
        healthy=one.healthy and other.healthy,
        routed=one.routed or other.routed,
        in_flight=one.in_flight + other.in_flight,
        served=one.served + other.served,
        failed=one.failed + other.failed,
    )


def _both_llms(one: LlmCounts, other: LlmCounts) -> LlmCounts:
    return msgspec.structs.replace(
        one,
        replicas=max(one.replicas, other.replicas),
        healthy=min(one.healthy, other.healthy),
        in_flight=one.in_flight + other.in_flight,
        served=one.served + other.served,
        failed=one.failed + other.failed,
    )


@dataclass(slots=True)
class Samples:
    """Metrics of one process or of several: families with their types, and samples by their name
    and labels, in the order in which they came.
    """

    types: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def read(cls, text: str) -> Samples:
        """From the text that a gateway exports."""
        found = cls()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                found.types[name] = kind
            elif line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found.values[name] = float(value)
        return found

    def counters(self) -> Samples:
        """Without gauges, which end with their process."""
        kept = {name: value for name, value in self.values.items() if self._is_counter(name)}
        return Samples(dict(self.types), kept)

    def _is_counter(self, sample: str) -> bool:
        return self.types.get(sample.partition("{")[0]) == "counter"

    def text(self) -> str:
        """In Prometheus' text format, a family at a time."""
        lines: list[str] = []
        for name, kind in self.types.items():
            lines.append(f"# TYPE {name} {kind}")
            lines += [
                f"{sample} {value:.10g}"
                for sample, value in self.values.items()
                if sample.partition("{")[0] == name
            ]
        return "\n".join(lines) + "\n"


def summed_samples(every: Iterable[Samples]) -> Samples:
    """The sums of all samples. A replica is healthy (1) if every process thinks so."""
    found = Samples()
    for one in every:
        found.types.update(one.types)
        for name, value in one.values.items():
            if name not in found.values:
                found.values[name] = value
            elif name.startswith(_HEALTHY):
                found.values[name] = min(found.values[name], value)
            else:
                found.values[name] += value
    return found
