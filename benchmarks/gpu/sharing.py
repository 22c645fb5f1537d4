"""Which way of giving out shares this machine has: MPS, else green contexts; on a CPU, cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.gpu.mps import MpsUnavailable, client, daemon

Mechanism = Literal["mps", "green", "cores"]


@dataclass(frozen=True, slots=True)
class Sharing:
    """A mechanism, and why no better one is there."""

    mechanism: Mechanism
    environment: dict[str, str] = field(default_factory=dict[str, str])
    note: str = ""

    def client(self, share: float) -> dict[str, str]:
        return client(self.environment, share) if self.mechanism == "mps" else {}


@contextmanager
def sharing(machine: dict[str, Any]) -> Iterator[Sharing]:
    """The best mechanism of this machine, ready for use."""
    if machine["device"] == "cpu":
        yield Sharing("cores")
        return
    with ExitStack() as stack:
        try:
            found = Sharing("mps", stack.enter_context(daemon(machine["uuid"])))
        except MpsUnavailable as error:
            found = Sharing("green", note=str(error))
        yield found
