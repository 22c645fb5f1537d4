"""Runs a child process in a process group of its own, and keeps what it prints."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scepsy.errors import BadInput, NotFound

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_LINGER = 0.5
"""Seconds to wait for more output after the process ended: a process that it left behind may hold
the pipe open."""
_READ = 1 << 16
"""Bytes per read of a pipe, the size of its buffer in Linux."""


@dataclass(frozen=True, slots=True)
class ExitedProcess:
    """The exit code of a process (the negative number of a signal that ended it), and what it
    printed.
    """

    exit_code: int
    stdout: str
    stderr: str


async def run_process(
    argv: Sequence[str], env: Mapping[str, str], *, attached: bool
) -> ExitedProcess:
    """Waits for a process to end, then ends the processes that it left in its process group.
    Cancelling this ends all of them.

    If `attached`, the process has our standard streams, and its standard error is also kept. If
    not, it reads nothing, and both of its outputs are kept.

    Raises:
        NotFound, BadInput: the program is not there, or cannot be executed.
    """
    stderr = _Output(echo=attached)
    stdout = None if attached else _Output(echo=False)
    outputs = [stderr] if stdout is None else [stderr, stdout]
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=env,
                stdin=None if attached else asyncio.subprocess.DEVNULL,
                stdout=None if stdout is None else stdout.write_end,
                stderr=stderr.write_end,
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"there is no program {argv[0]!r}") from None
        except OSError as error:
            raise BadInput(f"cannot run {argv[0]!r}: {error.strerror}") from None
        finally:
            for output in outputs:
                os.close(output.write_end)
        try:
            exit_code = await process.wait()
            with suppress(TimeoutError):  # someone left behind may hold a pipe open
                async with asyncio.timeout(_LINGER):
                    for output in outputs:
                        await output.ended.wait()
        finally:
            await _end_group(process)
    finally:
        for output in outputs:
            output.close()
    return ExitedProcess(exit_code, "" if stdout is None else stdout.text, stderr.text)


class _Output:
    """Keeps what is written to `write_end`, until no process holds that open. With `echo`, it also
    writes it to our standard error.
    """

    def __init__(self, *, echo: bool) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._echo = echo
        self._kept = bytearray()
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._read_end, self._take)

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)

    def _take(self) -> None:
        data = os.read(self._read_end, _READ)
        self._kept += data
        if not data:
            asyncio.get_running_loop().remove_reader(self._read_end)
            self.ended.set()
        elif self._echo:
            sys.stderr.write(data.decode(errors="replace"))
            sys.stderr.flush()


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Sends SIGTERM to the group, and SIGKILL to the processes that are left. The group exists
    until its last process has ended, even where its leader ended earlier.
    """
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
