"""A port that somebody else was faster to take costs one more attempt."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from scepsy.deploy.local.launching import start_on_free_port
from scepsy.engines import Launch, stop
from scepsy.errors import PortInUse


def server(port: int) -> Launch:
    code = (
        "import http.server as h, sys\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()"
    )
    return Launch((sys.executable, "-c", code, str(port)), f"http://127.0.0.1:{port}")


async def test_another_port_where_the_first_was_taken(tmp_path: Path) -> None:
    spawned: list[str] = []
    with socket.socket() as taken:

        def launch_on(port: int) -> Launch:
            if taken.getsockname()[1] == 0:
                taken.bind(("127.0.0.1", port))
                taken.listen()
            return server(port)

        process = await start_on_free_port(
            launch_on,
            host="127.0.0.1",
            log_path=tmp_path / "log",
            name="x",
            marked={},
            on_spawn=lambda pid, born, url: spawned.append(url),
        )
        await stop(process)
        assert spawned == [process.url]
        assert process.url != f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_port_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            await start_on_free_port(
                server,
                host="127.0.0.1",
                port=port,
                log_path=tmp_path / "log",
                name="x",
                marked={},
                on_spawn=lambda pid, born, url: None,
            )
