"""Restarts engines and the gateway of one deployment when they end or hang, until the deployment is
taken down: `python -m scepsy.deploy.local.supervisor`.

When this process dies, engines and gateway go on; the next `scepsy deploy` starts another one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.repairs import Repairs
from scepsy.deploy.local.state import Deployment
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.deploy.local.vital_signs import VitalSigns
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines.procfs import end_with_parent, is_alive
from scepsy.errors import BadInput, Conflict, ScepsyError, first_of

_PERIOD = 1.0
"""Seconds between two looks at a deployment."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Looks at the deployment again and again. It locks it only while it repairs something, and
    leaves it alone while a command has locked it.
    """

    def __init__(self, files: StateDirectory, name: str, policy: RestartPolicy) -> None:
        self._files, self._name = files, name
        self._signs = VitalSigns(policy)
        self._repairs = Repairs(self._signs, self._locked)
        self._file: DeploymentFile | None = None
        self._users = 0
        self._lock = ExitStack()

    async def run(self, pid: int) -> None:
        """Until the deployment is gone, or has another supervisor than this process."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while (current := self._files.load_if_any(self._name)) is not None:
                    if _has_another(current, pid):
                        break
                    await self._look(current, tasks)
                    await asyncio.sleep(_PERIOD)
                self._repairs.stop()
        except* ScepsyError as failures:
            raise first_of(failures) from None

    async def _look(self, current: Deployment, tasks: asyncio.TaskGroup) -> None:
        repaired = self._repairs.going_on
        await self._signs.take(current, repaired)
        for sick in self._signs.due():
            if sick.name not in repaired:
                self._repairs.begin(sick, tasks)
        self._signs.write(self._files.restarts(self._name))

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[DeploymentFile | None]:
        """The deployment, locked by us as long as any repair goes on; None where a command has
        locked it, or it is gone.
        """
        if self._file is None and not self._enter():
            yield None
            return
        self._users += 1
        try:
            yield self._file
        finally:
            self._users -= 1
            if not self._users:
                self._file = None
                self._lock.close()

    def _enter(self) -> bool:
        try:
            self._lock.enter_context(self._files.locked(self._name, "supervisor"))
            current = self._files.load_if_any(self._name)
            if current is not None:
                self._file = DeploymentFile(self._files, current)
                return True
        except Conflict:
            return False
        except BadInput as error:  # a full disk, for example, which somebody may make room on
            _log.warning("nothing can be started again now: %s", error)
        self._lock.close()
        return False


def _has_another(current: Deployment, pid: int) -> bool:
    other = current.supervisor
    return other is not None and other.pid != pid and is_alive(other.pid, other.born)


async def _main(options: argparse.Namespace) -> None:
    policy = msgspec.json.decode(options.policy, type=RestartPolicy)
    supervisor = Supervisor(StateDirectory(options.root), options.name, policy)
    running = asyncio.current_task()
    assert running is not None
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, running.cancel)
    with suppress(asyncio.CancelledError):
        await supervisor.run(options.pid)


def main() -> None:
    """Entry point."""
    import os

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    parser = argparse.ArgumentParser(prog="scepsy.deploy.local.supervisor")
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--policy", required=True, help="a RestartPolicy as JSON")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID")
    parser.set_defaults(pid=os.getpid())
    options = parser.parse_args()
    if options.exit_with_parent is not None:
        end_with_parent(options.exit_with_parent)
    try:
        asyncio.run(_main(options))
    except ScepsyError as error:
        _log.error("the supervisor ends: %s", error)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
