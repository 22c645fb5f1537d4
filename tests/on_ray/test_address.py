"""What answers at an address is asked before Ray is, which waits without end for anything else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scepsy.deploy.ray.connection import _check_listens
from scepsy.errors import Unreachable

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that reads what a caller sends first, and gives this answer."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_what_is_not_ray_is_called_so(answer: bytes) -> None:
    with answering(answer) as address, pytest.raises(Unreachable, match="is not Ray"):
        _check_listens(address)


def test_a_server_of_grpc_is_let_through() -> None:
    with answering(SETTINGS) as address:
        assert _check_listens(address) == address
