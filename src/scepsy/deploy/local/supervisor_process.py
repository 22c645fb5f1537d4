"""Starts and stops the supervisor of a deployment."""

from __future__ import annotations

import os
import sys

import msgspec

from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.logs import rotate
from scepsy.deploy.local.marks import mark
from scepsy.deploy.local.state import Deployment, RunningSupervisor
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines import Launch
from scepsy.engines.process import spawn, stop_pid
from scepsy.engines.procfs import identity, is_alive


def supervised(current: Deployment) -> bool:
    """Whether the deployment's supervisor runs."""
    one = current.supervisor
    return one is not None and is_alive(one.pid, one.born)


def ensure_supervisor(file: DeploymentFile, policy: RestartPolicy | None) -> None:
    """Starts a supervisor where none runs and there is a `policy`. Raises EngineFailed."""
    current, files = file.current, file.files
    if policy is None or supervised(current):
        return
    argv = (sys.executable, "-m", "scepsy.deploy.local.supervisor", "--root", str(files.root))
    argv += ("--name", current.name, "--policy", msgspec.json.encode(policy).decode())
    if current.options.exit_with_parent:
        argv += ("--exit-with-parent", str(os.getpid()))
    files.restarts(current.name).unlink(missing_ok=True)  # of a supervisor before it
    log = files.supervisor_log(current.name)
    rotate(log)
    launch = Launch(argv=argv, url="", env=mark(files.folder(current.name)))
    pid = spawn(launch, log, "the supervisor")
    born = identity(pid) or 0
    file.change(supervisor=RunningSupervisor(pid=pid, born=born, log=str(log)))


async def stop_supervisor(current: Deployment) -> None:
    """Stops the supervisor, where one runs, and waits until it has ended."""
    if current.supervisor is not None:
        await stop_pid(current.supervisor.pid, current.supervisor.born)
