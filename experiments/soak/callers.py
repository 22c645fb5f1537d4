"""The callers of a soak: good ones, those that leave, and those that send nonsense."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
from experiments.soak.site import LLM, Server

CHAT = "/v1/chat/completions"
DEADLINE = 60.0  # seconds after which a caller gives up; the call is lost
TOKENS = (16, 96)  # least and most output tokens

Kind = Literal["whole", "stream", "leaves whole", "leaves stream", "malformed"]
SHARES: dict[Kind, float] = {
    "whole": 0.44,
    "stream": 0.44,
    "leaves whole": 0.03,
    "leaves stream": 0.03,
    "malformed": 0.06,
}

Ending = Literal["ok", "cut", "left", "refused", "lost"]
"""How a call ended: "cut" in the middle of its answer, "left" by its caller, "refused" as nonsense
deserves, "lost" for everything that should not be.
"""


@dataclass(slots=True)
class Outcome:
    """One call. Times are seconds since the soak began."""

    id: str
    kind: Kind
    began: float
    ended: float = 0.0
    ending: Ending = "lost"
    why: str = ""
    gateway: str = ""
    sends: int = 0


@dataclass(slots=True)
class Callers:
    """Calls a random gateway, and another one where that is gone or goes, as behind a balancer."""

    gateways: list[Server]
    session: aiohttp.ClientSession
    rng: random.Random
    prefix: str = "call"
    zero: float = field(default_factory=time.monotonic)
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def now(self) -> float:
        return time.monotonic() - self.zero

    async def one(self, kind: Kind | None = None) -> Outcome:
        """Makes one call of this kind, or of a random one."""
        chosen = kind or self.rng.choices(list(SHARES), list(SHARES.values()))[0]
        outcome = Outcome(f"{self.prefix}-{len(self.outcomes)}", chosen, self.now)
        self.outcomes.append(outcome)
        try:
            async with asyncio.timeout(DEADLINE):
                if chosen == "malformed":
                    await self._nonsense(outcome)
                else:
                    await self._call(outcome)
        except TimeoutError:
            outcome.ending, outcome.why = "lost", f"no end after {DEADLINE:g} s; {outcome.why}"
        outcome.ended = self.now
        return outcome

    async def _call(self, outcome: Outcome) -> None:
        stream = outcome.kind.endswith("stream")
        body = {
            "model": LLM,
            "messages": [{"role": "user", "content": f"This is {outcome.id}. Go on."}],
            "max_tokens": self.rng.randint(*TOKENS),
            "ignore_eos": True,
            "stream": stream,
        }
        patience = self.rng.uniform(0.02, 0.4) if outcome.kind.startswith("leaves") else None
        order = self.rng.sample(self.gateways, len(self.gateways))
        while True:
            gateway = order[outcome.sends % len(order)]
            outcome.sends, outcome.gateway = outcome.sends + 1, gateway.name
            try:
                async with asyncio.timeout(patience):
                    again = await self._send(gateway, body, outcome)
            except TimeoutError:
                if patience is None:
                    raise
                outcome.ending = "left"
                return
            if not again:
                return
            await asyncio.sleep(0.1)

    async def _send(self, gateway: Server, body: dict[str, object], outcome: Outcome) -> bool:
        """Whether another gateway should be asked: this one is gone or goes, and nothing came."""
        begun = False
        try:
            async with self.session.post(
                gateway.url + CHAT, json=body, headers={"x-scepsy-run": outcome.id}
            ) as response:
                if response.status != 200:
                    text = await response.text()
                    if response.status == 503 and '"closing"' in text:
                        return True
                    outcome.ending, outcome.why = "lost", f"{response.status} {text[:300]}"
                    return False
                got = b""
                async for chunk in response.content.iter_any():
                    begun = True
                    got += chunk
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            outcome.why = f"{type(error).__name__}: {error}"
            if begun:
                outcome.ending = "cut"
            return not begun
        _judge(outcome, got, stream=bool(body["stream"]))
        return False

    async def _nonsense(self, outcome: Outcome) -> None:
        gateway = self.rng.choice(self.gateways)
        outcome.gateway = gateway.name
        sent, may_be_silent = self.rng.choice(_NONSENSE)
        parts = urlsplit(gateway.url)
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            outcome.ending, outcome.why = "refused", "nobody listens"
            return
        try:
            writer.write(sent)
            if may_be_silent:
                await asyncio.sleep(0.05)
                outcome.ending = "refused"
                return
            line = await reader.readline()
        except OSError as error:
            line, outcome.why = b"", str(error)
        finally:
            writer.close()
        status = line.split()[1].decode() if len(line.split()) > 1 else ""
        good = status.startswith("4") or status == "503" or not status
        outcome.ending, outcome.why = ("refused" if good else "lost"), f"{sent[:40]!r}: {line!r}"


def _judge(outcome: Outcome, got: bytes, *, stream: bool) -> None:
    if stream:
        if got.endswith(b"data: [DONE]\n\n"):
            outcome.ending = "ok"
        elif b'"error"' in got:
            outcome.ending, outcome.why = "cut", got[-300:].decode(errors="replace")
        else:
            outcome.why = f"a stream without its end: {got[-100:]!r}"
        return
    try:
        answer = json.loads(got)
        assert answer["choices"][0]["message"]["content"]
        outcome.ending = "ok"
    except (ValueError, KeyError, AssertionError) as error:
        outcome.why = f"{error!r}: {got[:200]!r}"


_JSON = b"Content-Type: application/json\r\n"


def _post(body: bytes, head: bytes = _JSON) -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + head + size + b"\r\n" + body


_NONSENSE: list[tuple[bytes, bool]] = [  # and whether no answer is due
    (_post(b"{"), False),
    (_post(b'{"model": "nobody"}'), False),
    (_post(b'{"model": ["m"]}'), False),
    (_post(b'{"model": "\\ud800"}'), False),
    (_post(b"{}", b"X-Large: " + b"x" * 100_000 + b"\r\n"), False),
    (
        _post(b'{"model": "m"}', b"Content-Encoding: gzip\r\n" + _JSON),
        False,
    ),
    (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", False),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", False),
    (b"NONSENSE\r\n\r\n", False),
    (_post(b'{"model": "m", "messages": []}')[:-20], True),
    (b"POST /v1/chat", True),
    (b"", True),
]
