"""A server to be killed: `python peer_process.py wait|stream`; prints its port.

`wait` never answers, `stream` sends two events and then waits, `whole` answers at once.
"""

from __future__ import annotations

import asyncio
import sys

from gateway_peers import chunk, completion, hang, peer, says, streams


async def main(mode: str) -> None:
    scripts = {
        "wait": hang,
        "stream": streams(chunk("one"), chunk("two"), then=hang),
        "whole": says(completion("from the process")),
    }
    async with peer(scripts[mode]) as one:
        sys.stdout.write(f"{one.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
