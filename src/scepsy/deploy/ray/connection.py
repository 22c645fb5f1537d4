"""Connects this process to a Ray cluster, with one clear message where that does not work."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Mapping
from typing import Any

from scepsy.deploy.ray.api import ray_module
from scepsy.deploy.ray.names import NAMESPACE
from scepsy.errors import BadInput, Unreachable

_CONNECT = 5.0
"""Seconds for a connection to the address, before Ray is asked, which would wait much longer."""

_ATTEMPTS = 3
"""How often a connection is tried where the head was too slow to make one."""

_TALKATIVE = ("ray", "ray._private.worker", "ray.client_builder", "ray.util.client.logsclient")
"""Loggers of Ray that tell a user of Scepsy nothing."""

_SETTINGS = 4
"""Type of HTTP/2's frame of settings, the fourth byte of a frame (RFC 9113, section 6.5)."""

_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
"""What a client sends first: the preface, and settings that change nothing."""

_CLIENT = "ray://"
_CLIENT_PORT = 10001
_HEAD_PORT = 6379


def connect(address: str) -> None:
    """Connects to the cluster at `address`: HOST:PORT of the head, from a machine of the cluster;
    `ray://HOST:10001` from elsewhere; or "auto" on a machine of the cluster.

    Raises BadInput for an address that is none, and Unreachable where nothing answers there, where
    it does not let us in, or where it is not a cluster that we can use.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    ray = ray_module()
    if ray.is_initialized():
        if _works(ray):
            return
        ray.shutdown()
    if address != "auto":
        address = _check_listens(address)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    for left in reversed(range(_ATTEMPTS)):
        try:
            with warnings.catch_warnings(action="ignore"):  # what they say, the error says too
                ray.init(**_arguments(address))
        except Exception as error:  # Ray raises many kinds, and some are gRPC's
            # On a busy head the process that serves us may take too long to start.
            if left and "Initialization failure from server" in str(error):
                continue
            raise Unreachable(_told(address, error)) from error
        return


def _works(ray: Any) -> bool:
    """Whether the connection that we have still works: it does not after a restart of the head."""
    try:
        ray.nodes()
    except Exception:  # noqa: BLE001 - see above
        return False
    return True


def disconnect() -> None:
    """Ends the connection; what was deployed goes on."""
    ray_module().shutdown()


def _arguments(address: str) -> Mapping[str, Any]:
    common = {"address": address, "namespace": NAMESPACE, "log_to_driver": False}
    if address.startswith(_CLIENT):
        return common
    return {**common, "logging_level": logging.ERROR, "configure_logging": False}


def _check_listens(address: str) -> str:
    """The address with its port. Raises BadInput, Unreachable."""
    host, port = split(address)
    try:
        with socket.create_connection((host, port), _CONNECT) as connection:
            answers = _answers_grpc(connection)
    except OSError as error:
        raise Unreachable(
            f"nothing answers at {host}:{port} ({error.strerror or error}); is Ray's head running "
            "there, and is this the address that `scepsy ray up` printed?"
        ) from error
    if not answers:
        raise Unreachable(
            f"what answers at {host}:{port} is not Ray; give the address of Ray's head, which "
            "`scepsy ray up` printed"
        )
    return f"{_CLIENT if address.startswith(_CLIENT) else ''}{host}:{port}"


def _answers_grpc(connection: socket.socket) -> bool:
    """Whether a gRPC server is at the other end: it answers the opening of an HTTP/2 connection
    with its settings (RFC 9113, section 3.4). `ray.init` waits without end for anything else.
    """
    if os.environ.get("RAY_USE_TLS") == "1":
        return True  # it would wait for TLS to begin
    connection.settimeout(_CONNECT)
    try:
        connection.sendall(_HTTP2_OPENING)
        frame = connection.recv(9)
    except OSError:
        return False
    return len(frame) > 3 and frame[3] == _SETTINGS


def split(address: str) -> tuple[str, int]:
    """Host and port of an address. Raises BadInput."""
    text = address.removeprefix(_CLIENT)
    default = _CLIENT_PORT if address.startswith(_CLIENT) else _HEAD_PORT
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(default)
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise BadInput(
            f"--address {address!r}: use HOST:PORT of Ray's head on a machine of the cluster, or "
            f"{_CLIENT}HOST:{_CLIENT_PORT} from elsewhere"
        )
    return host, int(port)


def _told(address: str, error: Exception) -> str:
    text = str(error)
    token = "oken" in text and ("auth" in text.lower() or "nauthenticated" in text)
    # Without the right token, Ray's client waits until its time is over.
    if token or "Failed to connect" in text or "timed out" in text or "connection timeout" in text:
        set_ = "RAY_AUTH_TOKEN" in os.environ or os.environ.get("RAY_AUTH_MODE") == "token"
        has = "the one that is set may be another's" if set_ else "none is set"
        return (
            f"the Ray cluster at {address} does not let us in{'' if token else ' or is too busy'}. "
            f"It may ask for a token, and {has}: set RAY_AUTH_MODE=token, and copy "
            "~/.ray/auth_token from the head to this machine"
        )
    if "raylet" in text or ("node" in text and "not found" in text):
        host, _ = split(address)
        return (
            f"this machine is no node of the Ray cluster at {address}; run the command on a node, "
            f"or give --address {_CLIENT}{host}:{_CLIENT_PORT}"
        )
    first = (text.strip().splitlines() or [type(error).__name__])[0]
    return f"the Ray cluster at {address} cannot be used: {first}"
