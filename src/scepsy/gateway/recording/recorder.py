"""Opens and closes exchanges: ties each to its run, writes each down, counts them all."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from scepsy.gateway.identity.labels import Address, identify, trace_id
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.identity.quoted_answers import WINDOW
from scepsy.gateway.recording.exchange import Exchange, call_of
from scepsy.gateway.wire.answers import AnswerRecord
from scepsy.gateway.wire.requests import ApiRequest, echoed_ids, prompt_text
from scepsy.store import TraceWriter

_IN_WORDS = ("chat", "completions", "responses")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Counts since the start: calls by (LLM, status), and seconds by LLM."""

    calls: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    unwritten: int = 0

    def add(self, llm: str, status: int, seconds: float) -> None:
        self.calls[llm, status] += 1
        self.seconds[llm] = self.seconds.get(llm, 0.0) + seconds


@dataclass(slots=True)
class Recorder:
    """`clock` gives Unix seconds. Without a writer, calls are counted but not written."""

    clock: Callable[[], float]
    lineage: Lineage
    writer: TraceWriter | None
    record_content: bool = False
    tally: Tally = field(default_factory=Tally)

    @property
    def writes(self) -> bool:
        return self.writer is not None

    def begin(
        self,
        headers: Mapping[str, str],
        address: Address,
        asked: ApiRequest,
        body: bytes,
        client: str,
    ) -> Exchange:
        """Starts an exchange; `start` may be set back to when the call arrived."""
        now = self.clock()
        said = identify(headers, address, asked.fields)
        if not self.writes:
            return Exchange(asked, body, said, Clues(client), now)
        clues = Clues(client, tuple(echoed_ids(asked.fields)), trace_id(headers))
        if said.run is None and asked.endpoint in _IN_WORDS:
            prompt = prompt_text(asked.endpoint, asked.fields)
            first = prompt.split(maxsplit=WINDOW)[:WINDOW]
            clues = replace(clues, prompt=prompt, opening=" ".join([asked.llm, *first]))
        identity = self.lineage.begin(said, clues, now)
        kept: list[bytes] | None = [] if self.record_content else None
        return Exchange(asked, body, identity, clues, now, answer=AnswerRecord(), kept=kept)

    def end(self, exchange: Exchange) -> None:
        """Ends it. A record that cannot be written is counted and logged; the call is well."""
        now = self.clock()
        self.tally.add(exchange.asked.llm, exchange.status, now - exchange.start)
        if self.writer is None or exchange.answer is None:
            return
        answer = exchange.answer
        said = answer.text if exchange.clues.prompt else ""
        self.lineage.end(exchange.identity, exchange.clues, now, answer.issued, said)
        try:
            self.writer.append(call_of(exchange, now))
        except OSError as error:
            self.tally.unwritten += 1
            _log.error("call %s could not be recorded: %s", exchange.id, error)
