"""URLs that are none, servers that are not there."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from scepsy.cli.reachable import check_reachable
from scepsy.errors import BadInput, Unreachable


@pytest.mark.parametrize(
    "url", ["http://h:99999", "http://h:abc", "http://[::1", "ftp://h", "http://", "h:80", ""]
)
async def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BadInput, match="--upstream"):
        await check_reachable("--upstream", url)


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="is it running"):
        await check_reachable("--upstream", f"http://127.0.0.1:{port}")


async def test_a_server_that_resets_the_connection_was_reached() -> None:
    def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await check_reachable("--upstream", f"http://127.0.0.1:{port}")
