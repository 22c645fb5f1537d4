"""Opens and closes exchanges: assigns each to its run, records it, and counts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from scepsy.core.secrets import credentials
from scepsy.gateway.identity.labels import Address, identify, trace_id
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.identity.quoted_answers import WINDOW
from scepsy.gateway.recording.exchange import Exchange, call_of
from scepsy.gateway.wire.prompts import digest, prompt_text
from scepsy.gateway.wire.requests import ApiRequest, echoed_ids
from scepsy.store import TraceCounts, TraceLog

_IN_WORDS = ("chat", "completions", "responses", "messages")
_LLM_LABELS_MAX = 512  # distinct model names that have their own label
_UNSERVED_LABELS_MAX = 32  # of them, names that no engine serves, such as typing errors
OTHER_LLMS = "(other)"
"""Label of all model names beyond these limits: callers can invent any number of names."""


@dataclass(slots=True)
class Tally:
    """Counts since the start: calls by (LLM, status), seconds by LLM, and labels of calls that are
    no names. `log` counts records.
    """

    calls: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    log: TraceLog | None = None
    refused_labels: int = 0
    _unserved: set[str] = field(default_factory=set[str])

    @property
    def records(self) -> TraceCounts:
        """Of calls: how many were written, wait, or are lost."""
        return TraceCounts() if self.log is None else self.log.counts

    def add(self, llm: str, status: int, seconds: float, *, served: bool = True) -> None:
        """Counts a call that has ended. `served`: it has reached an engine."""
        label = llm if self._has_label(llm, served) else OTHER_LLMS
        self.calls[label, status] += 1
        self.seconds[label] = self.seconds.get(label, 0.0) + seconds

    def _has_label(self, llm: str, served: bool) -> bool:
        if llm in self.seconds:
            return True
        if len(self.seconds) >= _LLM_LABELS_MAX:
            return False
        if not served:
            if len(self._unserved) >= _UNSERVED_LABELS_MAX:
                return False
            self._unserved.add(llm)
        return True


@dataclass(slots=True)
class Recorder:
    """`clock` returns Unix seconds. Without a log, calls are assigned to runs and counted, since
    routing depends on both, but not written.
    """

    clock: Callable[[], float]
    lineage: Lineage
    log: TraceLog | None
    record_content: bool = False
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally(log=self.log)

    @property
    def writes(self) -> bool:
        return self.log is not None

    def begin(
        self,
        headers: Mapping[str, str],
        address: Address,
        asked: ApiRequest,
        body: bytes,
        client: str,
    ) -> Exchange:
        """Starts an exchange; `start` is the time of arrival if that was earlier."""
        now = self.clock()
        said = identify(headers, address, asked.fields)
        self.tally.refused_labels += said.refused
        clues = Clues(client, tuple(echoed_ids(asked.fields)), trace_id(headers))
        if said.run is None and asked.endpoint in _IN_WORDS:
            prompt = prompt_text(asked.endpoint, asked.fields)
            first = prompt.split(maxsplit=WINDOW)[:WINDOW]
            clues = replace(clues, prompt=prompt, opening=digest(" ".join([asked.llm, *first])))
        identity = self.lineage.begin(said, clues, now)
        kept: list[bytes] | None = [] if self.writes and self.record_content else None
        needs_text = self.writes or bool(clues.prompt)
        return Exchange(
            asked,
            body,
            identity,
            clues,
            now,
            needs_text=needs_text,
            kept=kept,
            secrets=credentials(headers) if self.writes else (),
        )

    def end(self, exchange: Exchange) -> None:
        """Ends an exchange. Its record is written later. One that cannot be made is counted and
        logged; the call still succeeds.
        """
        now = self.clock()
        served = exchange.replica is not None
        seconds = now - exchange.start
        self.tally.add(exchange.asked.llm, exchange.status, seconds, served=served)
        answer = exchange.answer
        said = answer.text if exchange.clues.prompt else ""
        self.lineage.end(exchange.identity, exchange.clues, now, answer.issued, said)
        if self.log is None or not self.log.wants(exchange.identity.run or exchange.id):
            return
        try:
            call = call_of(exchange, now, self.log.options.sample)
        except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            self.log.lose(error)
        else:
            self.log.append(call)
