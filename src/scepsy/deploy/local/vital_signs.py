"""What a supervisor knows of the health of each process, and which of them need a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scepsy.deploy.local.health import ANSWER_WITHIN, Health, health
from scepsy.deploy.local.logs import tail
from scepsy.deploy.local.restart_log import GATEWAY, History, RestartLog, write_restarts
from scepsy.deploy.local.state import Deployment
from scepsy.deploy.restarts import Failure, GiveUp, Restart, RestartPolicy, decide

_FAILURES_KEPT = 20

Key = tuple[int, int]
"""Pid and birth of a process."""


@dataclass(slots=True)
class Vitals:
    """One replica, or the gateway.

    Attributes:
        key: its process.
        ready_since, silent_since: when it first answered health checks, and since when it has not
            answered any, in seconds of the monotonic clock; None where it does otherwise.
        failed: the process whose end was noted last.
        gave_up: whether it is not restarted any more.
    """

    name: str
    key: Key
    url: str
    log: Path
    ready_since: float | None = None
    silent_since: float | None = None
    failures: list[Failure] = field(default_factory=list[Failure])
    restarts: int = 0
    failed: Key | None = None
    gave_up: bool = False


@dataclass(slots=True)
class VitalSigns:
    """All processes of a deployment, by name."""

    policy: RestartPolicy
    _all: dict[str, Vitals] = field(default_factory=dict[str, Vitals])
    _started: set[Key] = field(default_factory=set[Key])

    async def take(self, current: Deployment, repaired: Collection[str]) -> None:
        """Asks every process that should serve, except for those that are being `repaired`. Where a
        command has started one anew, its earlier failures are forgotten.
        """
        seen = dict(_processes(current))
        kept = {name: one for name, one in self._all.items() if name in repaired}
        vitals = [self._known(name, *seen[name]) for name in seen if name not in kept]
        self._all = kept | {one.name: one for one in vitals}
        found = await asyncio.gather(*(health(*one.key, one.url) for one in vitals))
        for one, well in zip(vitals, found, strict=True):
            self._note(one, well)

    def due(self) -> list[Vitals]:
        """Those that have failed and are to be restarted now."""
        now = time.monotonic()
        due: list[Vitals] = []
        for one in self._all.values():
            if one.failed != one.key:
                continue
            decision = decide(one.failures, now, self.policy)
            one.gave_up = isinstance(decision, GiveUp)
            if isinstance(decision, Restart):
                due.append(one)
        return due

    def restarted(self, one: Vitals, key: Key) -> None:
        """Notes that we have started it again as this process."""
        one.restarts += 1
        self._started.add(key)

    def failed_to_start(self, one: Vitals, why: str) -> None:
        """Notes that a restart did not succeed."""
        one.restarts += 1
        self._fail(one, why, 0.0)

    def write(self, path: Path) -> None:
        """Writes the histories of those that have failed."""
        histories = tuple(
            History(
                name=one.name,
                failures=tuple(one.failures),
                restarts=one.restarts,
                given_up=one.gave_up,
            )
            for one in self._all.values()
            if one.failures
        )
        log = RestartLog(histories=histories)
        if log != self._written:
            write_restarts(path, log)
            self._written = log

    _written: RestartLog = field(default_factory=RestartLog)

    def _known(self, name: str, key: Key, url: str, log: Path) -> Vitals:
        before = self._all.get(name)
        if before is None or (before.key != key and key not in self._started):
            return Vitals(name, key, url, log)
        if before.key != key:
            before.key, before.url, before.log = key, url, log
            before.ready_since = before.silent_since = None
        return before

    def _note(self, one: Vitals, well: Health) -> None:
        now = time.monotonic()
        if well == "ready":
            one.silent_since = None
            one.ready_since = one.ready_since or now
            return
        if one.failed == one.key:
            return
        served = 0.0 if one.ready_since is None else now - one.ready_since
        if well == "dead":
            self._fail(one, "it ended", served)
            return
        one.silent_since = one.silent_since or now - ANSWER_WITHIN
        if now - one.silent_since >= self.policy.hung_after:
            self._fail(one, f"it did not answer for {self.policy.hung_after:g} s", served)

    def _fail(self, one: Vitals, why: str, served: float) -> None:
        failure = Failure(at=time.monotonic(), served=served, why=why, last_words=tail(one.log))
        one.failures = [*one.failures, failure][-_FAILURES_KEPT:]
        one.failed = one.key


def _processes(current: Deployment) -> Iterator[tuple[str, tuple[Key, str, Path]]]:
    """Those that should serve. A replica that is starting belongs to whoever starts it, except
    where a restart of ours was interrupted.
    """
    phases = ("serving", "starting") if current.settled else ("serving",)
    for one in current.replicas:
        if one.phase in phases:
            yield one.name, ((one.pid, one.born), one.url, Path(one.log))
    if current.gateway is not None:
        gateway = current.gateway
        yield GATEWAY, ((gateway.pid, gateway.born), gateway.url, Path(gateway.log))
