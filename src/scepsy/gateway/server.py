"""Runs a gateway: inside another program (`running`) or as a process of its own (`serve`)."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from scepsy.errors import PortInUse, Unreachable
from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.gateway.access.opening import open_gate
from scepsy.gateway.admin import Admin, admin_key, publish
from scepsy.gateway.calls.dataplane import DataPlane
from scepsy.gateway.calls.draining import LAST_WORDS, drain
from scepsy.gateway.calls.stored_responses import StoredResponses
from scepsy.gateway.config import (
    GatewayConfig,
    Route,
    check_key_variables,
    check_routes,
    check_url,
)
from scepsy.gateway.data_port import DataPort
from scepsy.gateway.engine_gaps.request_checks import RequestChecks
from scepsy.gateway.engine_gaps.token_count import LlamaCppCounter
from scepsy.gateway.http.listener import Listener
from scepsy.gateway.http.pool import EnginePool
from scepsy.gateway.http_server import http_server
from scepsy.gateway.identity.lineage import Lineage
from scepsy.gateway.recording.recorder import Recorder
from scepsy.gateway.recording.redaction import Redaction, compiled
from scepsy.gateway.stopping import until_stopped
from scepsy.gateway.upstreams.health import HealthWatch
from scepsy.gateway.upstreams.relay import Relay
from scepsy.gateway.upstreams.sending import Sender
from scepsy.gateway.upstreams.served_models import ServedModels
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.upstreams.vitals import WaitLimits
from scepsy.store import TraceLog

_KEEP_ALIVE = 4.0  # seconds; below the 5 s after which vLLM's server closes an idle connection
_CONNECT = 10.0  # seconds to make a connection
_ADMIN_GRACE = 1.0  # seconds that requests at the admin address have to finish


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that listens at `url`, and is governed at `admin`."""

    url: str
    admin: AdminAccess
    _plane: DataPlane
    _variables: frozenset[str]
    _listeners: tuple[Listener, ...]

    def replace_routes(self, routes: Sequence[Route], waiting: Collection[str] = ()) -> None:
        """Calls go to these replicas from now on. Those of an LLM in `waiting` that has no route
        are answered with 503 instead of 404. Calls in flight end on their old replicas. A gateway
        that was closed is open again.

        Raises BadInput as `check_routes` and `check_key_variables` do.
        """
        check_key_variables(routes, self._variables)
        check_routes(routes)
        self._plane.upstreams.replace(routes, waiting)
        self._plane.closed = False

    def close(self) -> None:
        """New calls are refused with 503 until new routes come. Calls in flight go on."""
        self._plane.closed = True

    def leave_ports(self) -> None:
        """Takes no more connections, so that another gateway may listen in its place while calls
        in flight end here.
        """
        for one in self._listeners:
            one.stop_listening()


@asynccontextmanager
async def running(
    config: GatewayConfig, redact: Callable[[str], str] | None = None
) -> AsyncGenerator[Gateway, None]:
    """Runs a gateway as long as the block. Then it takes no new calls, and calls in flight may
    finish within `config.grace`.

    `redact` gets each recorded text, after `config.recording.redact`, and returns what may be kept.
    A thread of the gateway calls it.

    Raises:
        PortInUse: another process listens on its port.
        BadInput: a route or the upstream is not a URL, the trace directory or the file of the admin
            key cannot be written, or the key is too short.
            Or API keys are needed and `config.keys` names no store.
        NotFound: the environment variable of the admin key is not set, or keys need an extra that
            is not installed.
        Unreachable: the store of API keys does not answer.
    """
    async with AsyncExitStack() as stack:
        plane, started = await _data_plane(config, stack, redact), time.time()
        key, admin = admin_key(config.admin), config.admin
        variables = config.allowed_variables
        governing = Admin(plane, started, key, admin.names, variables)
        ruling = http_server(governing.handle, config.limits)
        where = await _listen(ruling, admin.host, admin.port, _ADMIN_GRACE, stack)
        url = f"http://{_printable(config.host)}:{config.port}"
        access = AdminAccess(url=where, key=key, calls=url)
        publish(access, admin.file, stack)  # whoever sees us answer calls may look for it
        server = http_server(DataPort(plane, started).handle, config.limits)
        url = await _listen(
            server, config.host, config.port, LAST_WORDS, stack, reuse_port=config.reuse_port
        )
        if url != access.calls:
            access = msgspec.structs.replace(access, calls=url)
            publish(access, admin.file, stack)
        stack.push_async_callback(drain, plane, config.grace)
        yield Gateway(url, access, plane, variables, (ruling, server))


async def serve(
    config: GatewayConfig,
    *,
    on_ready: Callable[[Gateway], None],
    beside: Callable[[Gateway], Coroutine[None, None, None]] | None = None,
    orphaned: Callable[[], bool] = lambda: False,
) -> None:
    """Runs a gateway until SIGTERM or SIGINT; a second signal ends it at once. If it is `orphaned`
    then, whoever kept it running has died, and another gateway is likely to want its ports.

    `on_ready` is called once it listens. `beside` runs as long as the gateway, for example to
    change its routes; where it fails, the gateway stops and its error is raised. Raises as
    `running` does.
    """
    _allow_many_connections()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal() -> None:
        stop.set()
        for one in signals:
            loop.remove_signal_handler(one)

    for one in signals:
        loop.add_signal_handler(one, on_signal)
    async with running(config) as gateway:
        on_ready(gateway)
        await until_stopped(stop, None if beside is None else beside(gateway))
        if orphaned():
            gateway.leave_ports()


async def _data_plane(
    config: GatewayConfig, stack: AsyncExitStack, redact: Callable[[str], str] | None
) -> DataPlane:
    """The gateway without its sockets; `stack` closes it."""
    upstreams = _upstreams(config)
    redaction = Redaction(compiled(config.recording.redact), redact, upstreams.keys)
    log = (
        None
        if config.traces is None
        else TraceLog(Path(config.traces), config.recording, redaction)
    )
    if log is not None:
        stack.push_async_callback(asyncio.to_thread, log.close)
    pool = EnginePool(_KEEP_ALIVE, _CONNECT)
    stack.callback(pool.close)
    asking = await stack.enter_async_context(_session())
    await stack.enter_async_context(_watching(HealthWatch(upstreams, _limits(config))))
    lineage = Lineage(config.quiet_gap, config.workflow)
    sender, gate = Sender(pool), await open_gate(config.keys, config.host, stack)
    return DataPlane(
        relay=Relay(sender, upstreams, time.time, config.max_sends),
        upstreams=upstreams,
        models=ServedModels(upstreams, asking, time.monotonic),
        responses=StoredResponses(sender, upstreams, time.monotonic, gate is None),
        recorder=Recorder(time.time, lineage, log, config.record_content),
        checks=RequestChecks(LlamaCppCounter(asking)),
        most_in_flight=config.most_in_flight,
        event_bytes=config.limits.event_bytes,
        gate=gate,
    )


def _upstreams(config: GatewayConfig) -> Upstreams:
    check_routes(config.routes)
    pass_through = None
    if config.upstream is not None:
        check_url("upstream", config.upstream)
        route = Route(
            llm="*", replica="upstream", url=config.upstream, api_key_env=config.upstream_key_env
        )
        check_routes([route])
        pass_through = Upstream(route, probed=False)
    upstreams = Upstreams(pass_through)
    upstreams.replace(config.routes)
    return upstreams


def _session() -> aiohttp.ClientSession:
    """For what the gateway itself asks of engines: health, models, tokens. A new connection for
    each request, since a health check has to find out whether one can be made.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
        auto_decompress=False,
    )


def _limits(config: GatewayConfig) -> WaitLimits:
    return WaitLimits(
        first_byte_probe=config.first_byte_probe,
        silence_probe=config.silence_probe,
        hung_after=config.hung_after,
        first_byte_max=config.first_byte_max,
        silence_max=config.silence_max,
    )


@asynccontextmanager
async def _watching(watch: HealthWatch) -> AsyncGenerator[None, None]:
    # Not a TaskGroup, which would wrap the exceptions that the block raises.
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _listen(
    server: Listener,
    host: str,
    port: int,
    grace: float,
    stack: AsyncExitStack,
    *,
    reuse_port: bool = False,
) -> str:
    """Serves at the address until `stack` closes, which leaves requests `grace` seconds to end.
    Returns the URL for callers on this machine.
    """
    stack.push_async_callback(server.close, grace)
    try:
        port = await server.listen(host, port, reuse_port=reuse_port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use on {host}; choose another") from None
        raise Unreachable(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return f"http://{_printable(host)}:{port}"


def _printable(host: str) -> str:
    """An address that callers on this machine can use."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":  # it takes no calls to 127.0.0.1
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def run(main: Coroutine[None, None, None]) -> None:
    """Runs a gateway's coroutine on uvloop where that is installed: it costs a call a third less
    CPU time than asyncio's own loop.
    """
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def _allow_many_connections() -> None:
    """Every call holds two connections; the usual soft limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # an unlimited hard limit is not a number everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
