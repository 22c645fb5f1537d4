"""The configuration of a gateway: its address, its replicas, and what it records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from scepsy.core.llm import EngineKind
from scepsy.core.record import Record
from scepsy.core.recording import RecordingOptions
from scepsy.core.secrets import public_url
from scepsy.errors import BadInput
from scepsy.gateway.names import NAME_BYTES_MAX, is_name, name_instead

Positive = Annotated[float, Meta(gt=0)]

GRACE = 300.0
"""Seconds that calls in flight have to finish by default, where a gateway stops or a replica is
drained. All that waits for a gateway waits as long.
"""


class Route(Record, frozen=True, kw_only=True):
    """A replica of `llm` that answers at `url`.

    Attributes:
        llm: the name that callers ask for.
        replica: name of the replica in metrics and traces.
        url: with or without the /v1 that OpenAI clients want in a base URL.
        capacity: speed relative to the other replicas of the same LLM.
        engine: the engine that answers there, so that the gateway can check what that engine does
            not check. None if unknown: then every request passes.
        max_context: highest number of tokens of prompt and output together.
        ranked: whether the engine orders its queue by a request's `priority`, the lower first, so
            that the gateway may set that field. Other engines may refuse a call because of it.
        api_key_env: environment variable of the gateway that holds the key to send instead of the
            caller's credentials.
        rate_limit: highest number of calls per second that are sent there; None if there is no
            limit. Further calls wait for their turn; one that would wait for more than 30 s is
            refused with 429.
    """

    llm: str
    replica: str
    url: str
    capacity: Positive = 1.0
    engine: EngineKind | None = None
    max_context: int | None = None
    ranked: bool = False
    api_key_env: str | None = None
    rate_limit: Positive | None = None

    @property
    def hosted(self) -> bool:
        """Whether it is an endpoint that Scepsy does not start; it may have no /health."""
        return self.engine == "endpoint"


class AdminConfig(Record, frozen=True, kw_only=True):
    """Where a gateway is governed: routes, metrics and status are at this address and not at that
    of calls, and every request there needs a key.

    Attributes:
        host, port: address to listen on; port 0 picks a free port.
        names: host names by which the address may be called, beside `localhost` and IP addresses;
            `*` stands for all. Others are refused, so that a page in a browser cannot use a name
            of its own that resolves to this machine.
        key_env: environment variable with the key. Without it each start makes a new key.
        file: file into which the gateway writes its admin address and key, readable by its owner
            alone, before it answers calls.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    names: tuple[str, ...] = ()
    key_env: str | None = None
    file: str | None = None


class HttpLimits(Record, frozen=True, kw_only=True):
    """What one caller or one answer may take of the gateway, in time and size.

    Attributes:
        head: seconds from the first byte of a request to the end of its headers.
        body: seconds from then to the end of its body.
        idle: seconds that a connection may wait for its next request.
        taking: seconds in which a caller must take bytes of its answer once 256 KiB wait for it.
        body_bytes: size of a request's body, as it is sent. A larger one is refused with 413.
        event_bytes: size of one event of an engine's stream. A larger one ends with an error event.
        connections: number of connections at once. Further ones are refused with 503.
    """

    head: Positive = 10.0
    body: Positive = 60.0
    idle: Positive = 75.0
    taking: Positive = 300.0
    body_bytes: Annotated[int, Meta(gt=0)] = 64 << 20
    event_bytes: Annotated[int, Meta(gt=0)] = 16 << 20
    connections: Annotated[int, Meta(gt=0)] = 16384


class KeysConfig(Record, frozen=True, kw_only=True):
    """Whether callers need API keys, and where these are.

    Attributes:
        mode: `on`, `off`, or `auto`: on unless the gateway listens on loopback alone.
        store: URL of their database: sqlite:///PATH, or postgresql://USER@HOST/DATABASE for several
            gateways.
        refresh: seconds after which a change, such as a revocation, has reached every gateway. A
            new key works at once.
        offline: seconds that known keys work while the store does not answer.
    """

    mode: Literal["auto", "on", "off"] = "auto"
    store: str | None = None
    refresh: Positive = 2.0
    offline: Annotated[float, Meta(ge=0)] = 3600.0


class GatewayConfig(Record, frozen=True, kw_only=True):
    """The configuration of one gateway.

    Attributes:
        host, port: address to listen on; port 0 picks a free port.
        routes: the replicas to route to.
        upstream: server to which calls of all other LLMs are passed on, with the caller's own
            credentials.
        traces: directory in which calls are recorded; without it nothing is recorded.
        record_content: record prompts and answers too, instead of their hashes alone.
        recording: how calls are recorded (`RecordingOptions`).
        workflow: workflow of calls that name none.
        most_in_flight: highest number of calls at once; further ones are refused with 429.
        max_sends: how often one call may be sent in total if its connection is lost or the answer
            is 5xx, over all replicas. A call that makes engines crash reaches at most this many.
        quiet_gap: seconds without a call after which a run ends that is identified by timing alone.
        grace: seconds that calls in flight have to finish when the gateway is told to stop. It
            takes no new ones meanwhile.
        first_byte_probe: seconds that a call waits for the first byte of its answer before its
            replica's /health is asked: a busy engine answers that, a hung one does not.
        silence_probe: the same for each further byte.
        hung_after: seconds without an answer of /health, while calls wait that long, after which a
            replica counts as hung. Calls without a byte go to another replica, others end with an
            error.
        first_byte_max: seconds that a call waits for its first byte at a healthy replica.
        silence_max: seconds that a call waits for each further byte at a healthy replica.
        processes: gateway processes that share the port. Limits are divided between them.
        reuse_port: let other processes of this user listen on the port, too. Processes that share
            one have it.
        admin: where the gateway is governed.
        key_variables: environment variables that later routes may name as `api_key_env`; those of
            `routes` are allowed as well. No other variable is ever sent to an upstream.
        limits: what one caller or one answer may take, in time and size.
        keys: whether callers need API keys.
        upstream_key_env: environment variable with the key that is sent to `upstream` instead of
            the caller's credentials. A caller's API key of this gateway is never sent on.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    routes: tuple[Route, ...] = ()
    upstream: str | None = None
    traces: str | None = None
    record_content: bool = False
    recording: RecordingOptions = RecordingOptions()
    workflow: str = "default"
    most_in_flight: Annotated[int, Meta(gt=0)] = 4096
    max_sends: Annotated[int, Meta(gt=0)] = 2
    quiet_gap: Positive = 5.0
    grace: Annotated[float, Meta(ge=0)] = GRACE
    first_byte_probe: Positive = 5.0
    silence_probe: Positive = 5.0
    hung_after: Positive = 15.0
    first_byte_max: Positive = 1800.0
    silence_max: Positive = 300.0
    processes: Annotated[int, Meta(ge=1, le=256)] = 1
    reuse_port: bool = False
    admin: AdminConfig = AdminConfig()
    key_variables: tuple[str, ...] = ()
    limits: HttpLimits = HttpLimits()
    keys: KeysConfig = KeysConfig()
    upstream_key_env: str | None = None

    @property
    def allowed_variables(self) -> frozenset[str]:
        """The environment variables that routes may name."""
        named = [route.api_key_env for route in self.routes]
        return frozenset(one for one in (*self.key_variables, *named) if one is not None)


def check_routes(routes: Sequence[Route]) -> None:
    """Raises BadInput for a duplicate replica name, a name that is not printable or too long, an
    invalid URL, or a key whose variable is not
    set.
    """
    names = Counter(route.replica for route in routes)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise BadInput(f"routes: replica {twice[0]!r} is there more than once")
    for route in routes:
        for field, name in (("llm", route.llm), ("replica", route.replica)):
            if not is_name(name):
                raise BadInput(
                    f"routes: {field}: {name_instead(name)!r} is no name: give at most "
                    f"{NAME_BYTES_MAX} bytes of printable text"
                )
        check_url(f"routes: replica {route.replica!r}: url", route.url)
        if route.api_key_env is not None and not os.environ.get(route.api_key_env):
            raise BadInput(
                f"routes: replica {route.replica!r}: the environment variable "
                f"{route.api_key_env} is not set; export the key before the gateway starts"
            )


def check_key_variables(routes: Sequence[Route], allowed: Collection[str]) -> None:
    """Raises BadInput for a key whose variable is not one of those that the gateway's start has
    allowed: else whoever may set routes could have any variable sent to any address.
    """
    for route in routes:
        if route.api_key_env is not None and route.api_key_env not in allowed:
            raise BadInput(
                f"routes: replica {route.replica!r}: this gateway may not send the environment "
                f"variable {route.api_key_env}; name it when the gateway starts (for a deployment: "
                "take it down and deploy it again)"
            )


def check_url(field: str, url: str) -> None:
    """Raises BadInput naming `field` unless `url` is an absolute http(s) URL."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadInput(f"{field}: {public_url(url)!r} is not an http:// or https:// URL")
