"""One change of a deployment at a time. A command has precedence over a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress

from scepsy.deploy.local.state_directory import Holder, StateDirectory
from scepsy.engines.procfs import is_alive
from scepsy.errors import Conflict

_SUPERVISOR_WITHIN = 20.0
"""Seconds that a supervisor has to stop what it is doing."""

_UNKNOWN_WITHIN = 1.0
"""Seconds that whoever has locked a deployment has to say who it is."""

_POLL = 0.1


@asynccontextmanager
async def changing(files: StateDirectory, name: str) -> AsyncGenerator[None]:
    """Locks the deployment for a command. A supervisor that restarts something is told to end: its
    starts are broken off, and the command starts another supervisor in the end.

    Raises Conflict where another command is changing the deployment, and BadInput where its folder
    cannot be written.
    """
    with ExitStack() as stack:
        clock = asyncio.get_running_loop().time
        began = clock()
        told: Holder | None = None
        while True:
            try:
                stack.enter_context(files.locked(name))
                break
            except Conflict:
                holder = files.holder(name)
                limit = _UNKNOWN_WITHIN if holder is None else _SUPERVISOR_WITHIN
                if clock() > began + limit or (holder is not None and holder.role == "command"):
                    raise
                if holder is not None:
                    told = holder
                    with suppress(ProcessLookupError):
                        os.kill(holder.pid, signal.SIGTERM)
            await asyncio.sleep(_POLL)
        # It lets go of the lock before it ends; a command must not take it for one that stays.
        while told is not None and is_alive(told.pid, told.born):
            if clock() > began + _SUPERVISOR_WITHIN:
                break
            await asyncio.sleep(_POLL)
        yield
