"""The gateway's counters, as Prometheus text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from scepsy.core.record import Record
from scepsy.core.secrets import public_url
from scepsy.gateway.recording.recorder import Tally
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.wire.errors import printable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[dict[str, str], float]


class ReplicaCounts(Record, frozen=True, kw_only=True):
    """One replica: calls in flight now; calls served and failed since the gateway started. One that
    is not `routed` gets no new calls, and is listed until its calls have ended.
    """

    replica: str
    llm: str
    url: str
    healthy: bool
    in_flight: int
    served: int
    failed: int
    routed: bool = True


class LlmCounts(Record, frozen=True, kw_only=True):
    """The same, summed over the replicas of an LLM."""

    llm: str
    replicas: int
    healthy: int
    in_flight: int
    served: int
    failed: int


class GatewayStatus(Record, frozen=True, kw_only=True):
    """The gateway's state. `started` is in Unix seconds; `in_flight` counts the calls of all
    replicas and those that have not been sent to one yet. `recorded` counts calls whose record was
    written, `waiting` those whose record waits to be written, for example for room on the disk, and
    `unwritten` those whose record is lost; `refused_labels` counts names of runs and workflows that
    are not printable or too long. `cut` has by replica the calls that it left unanswered and that
    no other one could serve. `processes`: how many gateway processes are counted here.
    """

    started: float
    in_flight: int
    recorded: int
    waiting: int
    unwritten: int
    replicas: tuple[ReplicaCounts, ...]
    llms: tuple[LlmCounts, ...]
    refused_labels: int = 0
    cut: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    processes: int = 1


def status(upstreams: Upstreams, tally: Tally, started: float, in_flight: int) -> GatewayStatus:
    records = tally.records
    return GatewayStatus(
        started=started,
        in_flight=in_flight,
        refused_labels=tally.refused_labels,
        recorded=records.written,
        waiting=records.waiting,
        unwritten=records.lost,
        replicas=(
            *(_replica_counts(one, routed=True) for one in upstreams),
            *(_replica_counts(one, routed=False) for one in upstreams.leaving),
        ),
        llms=tuple(_llm_counts(llm, upstreams.of(llm)) for llm in upstreams.llms),
        cut=dict(upstreams.cut),
    )


def exposition(upstreams: Upstreams, tally: Tally) -> str:
    """The counters in Prometheus' text format."""
    records = tally.records
    calls = [
        ({"llm": llm, "status": str(status)}, count) for (llm, status), count in tally.calls.items()
    ]
    seconds = [({"llm": llm}, total) for llm, total in tally.seconds.items()]
    replicas = [(_labels(one), one) for one in upstreams]
    families: tuple[tuple[str, str, Iterable[_Sample]], ...] = (
        ("calls_total", "counter", calls),
        ("call_seconds_total", "counter", seconds),
        ("labels_refused_total", "counter", [({}, tally.refused_labels)]),
        ("calls_recorded_total", "counter", [({}, records.written)]),
        ("calls_waiting_to_be_recorded", "gauge", [({}, records.waiting)]),
        ("calls_unwritten_total", "counter", [({}, records.lost)]),
        ("replica_in_flight", "gauge", [(labels, one.in_flight) for labels, one in replicas]),
        ("replica_healthy", "gauge", [(labels, int(one.healthy)) for labels, one in replicas]),
        ("replica_served_total", "counter", [(labels, one.served) for labels, one in replicas]),
        ("replica_failed_total", "counter", [(labels, one.failed) for labels, one in replicas]),
    )
    lines = (line for name, kind, samples in families for line in _family(name, kind, samples))
    return printable("\n".join(lines) + "\n")


def _replica_counts(one: Upstream, *, routed: bool) -> ReplicaCounts:
    return ReplicaCounts(
        replica=one.name,
        llm=one.route.llm,
        url=public_url(one.route.url),
        healthy=one.healthy,
        in_flight=one.in_flight,
        served=one.served,
        failed=one.failed,
        routed=routed,
    )


def _llm_counts(llm: str, group: tuple[Upstream, ...]) -> LlmCounts:
    return LlmCounts(
        llm=llm,
        replicas=len(group),
        healthy=sum(one.healthy for one in group),
        in_flight=sum(one.in_flight for one in group),
        served=sum(one.served for one in group),
        failed=sum(one.failed for one in group),
    )


def _labels(one: Upstream) -> dict[str, str]:
    return {"llm": one.route.llm, "replica": one.name}


def _family(name: str, kind: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# TYPE scepsy_gateway_{name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        yield f"scepsy_gateway_{name}{{{inner}}} {value:.10g}"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
