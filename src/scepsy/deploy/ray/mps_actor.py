"""The actor that owns the MPS daemon of one shared GPU. It has not been run on a GPU."""

from __future__ import annotations

import asyncio
import os

from scepsy.deploy.ray.loop_thread import LoopThread
from scepsy.deploy.ray.mps import MpsDaemon
from scepsy.deploy.ray.node_folder import node_folder

_AGAIN_AFTER = 2.0
"""Seconds between the end of a daemon and the start of the next."""


def daemon_of(gpu: int) -> MpsDaemon:
    """The daemon of a GPU of the node on which this process runs."""
    return MpsDaemon(gpu, node_folder() / "mps" / f"gpu{gpu}")


class MpsActor:
    """Made by Ray with the GPU's index. The daemon ends with the actor."""

    def __init__(self, gpu: int) -> None:
        self._daemon = daemon_of(gpu)
        self._failure = ""
        self._thread = LoopThread()
        self._thread.begin(self._run())

    def report(self) -> tuple[bool, str]:
        """Whether the daemon can be asked, and why the last one ended."""
        return self._daemon.control.exists(), self._failure

    async def _run(self) -> None:
        self._daemon.pipes.mkdir(parents=True, exist_ok=True)
        (self._daemon.folder / "log").mkdir(exist_ok=True)
        while True:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._daemon.argv,
                    env={**os.environ, **self._daemon.env},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                said, _ = await process.communicate()
                self._failure = said.decode(errors="replace").strip() or "it ended"
            except OSError as error:
                self._failure = f"{self._daemon.argv[0]}: {error.strerror}"
            await asyncio.sleep(_AGAIN_AFTER)
