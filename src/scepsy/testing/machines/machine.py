"""One machine: its own network, processes and folders, on the hardware of this one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scepsy.testing.machines.commands import CommandFailed, ip, run

_INIT = """
set -e
mount --make-rprivate /
mount --bind "$0" "$1"
mount -t tmpfs -o size="$2" tmpfs /dev/shm
echo "$3" > /proc/sys/kernel/hostname
echo up
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
"""
"""The first process: it mounts what is the machine's own, and reaps orphans for ever, as bash does.

$0 is the machine's folder, $1 where it is seen in the machine, $2 the size of /dev/shm, and $3 the
name.
"""

_SHM = "400m"


@dataclass(slots=True, eq=False)
class Machine:
    """A machine of a `Network`. `folder` is its own /tmp/ray-like folder, seen in it at `seen_at`.

    Its processes live in a PID namespace, so that nothing of them survives a power-off.
    """

    name: str
    address: str
    namespace: str
    folder: Path
    seen_at: Path
    _host: subprocess.Popen[str] | None = None
    _first: int | None = None
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def is_on(self) -> bool:
        return self._host is not None and self._host.poll() is None

    def power_on(self) -> None:
        """Boots the machine. Raises CommandFailed where it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.seen_at.mkdir(parents=True, exist_ok=True)
        self._host = subprocess.Popen(
            # It ends with this process, and everything in it with it.
            ["setpriv", "--pdeathsig", "KILL",
             "nsenter", f"--net=/run/netns/{self.namespace}", "--",
             "setpriv", "--pdeathsig", "KILL",
             "unshare", "--uts", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child",
             "bash", "-c", _INIT, str(self.folder), str(self.seen_at), _SHM, self.name],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self._host.stdout is not None
        said = self._host.stdout.readline().strip()
        if said != "up":
            self.power_off()
            raise CommandFailed(f"machine {self.name} does not come up: {said}")
        children = Path(f"/proc/{self._host.pid}/task/{self._host.pid}/children").read_text()
        self._first = int(children.split()[0])
        self.mend()

    def power_off(self, *, cleanly: bool = False) -> None:
        """Kills everything on the machine at once. Its link goes first, so that peers hear nothing,
        not even that connections are closed, as when the power fails; `cleanly` leaves the link up.
        """
        if not cleanly:
            with suppress(CommandFailed):  # the namespace may be gone already
                self.cut()
        if self._first is not None:
            # The first process of a PID namespace takes all others with it.
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._first = None
        elif self._host is not None:
            self._host.kill()
        if self._host is not None:
            # It waits for the first process, which ends after all others.
            self._host.wait(timeout=30)
            assert self._host.stdout is not None
            self._host.stdout.close()
            self._host = None
        for one in self._started:
            one.kill()
            one.wait(timeout=30)
        self._started.clear()

    def cut(self) -> None:
        """Takes the network link down; the machine's processes go on."""
        ip("-n", self.namespace, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Brings the network link up again."""
        ip("-n", self.namespace, "link", "set", "eth0", "up")

    def run(self, *argv: str, timeout: float = 120.0, env: Mapping[str, str] | None = None) -> str:
        """What a command prints that runs on the machine. Raises CommandFailed."""
        return run(*self.entering(), *argv, timeout=timeout, env={**os.environ, **(env or {})})

    def start(
        self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a process on the machine that writes to `log`. It ends with the machine."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*self.entering(), *argv],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **(env or {})},
            )  # fmt: skip
        self._started.append(process)
        return process

    def entering(self) -> tuple[str, ...]:
        """The beginning of a command line that runs on the machine. Raises CommandFailed where it
        is off.
        """
        if self._first is None:
            raise CommandFailed(f"machine {self.name} is off")
        return ("nsenter", "--target", str(self._first), "--net", "--uts", "--pid", "--mount", "--")

    def pids(self, words: str) -> list[int]:
        """The pids, as this machine's host counts them, of processes on the machine whose command
        line contains `words`, in rising order.
        """
        namespace = os.readlink(f"/proc/{self._first}/ns/pid")
        found: list[int] = []
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            with suppress(OSError):
                if os.readlink(path / "ns/pid") != namespace:
                    continue
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words in line:
                    found.append(int(path.name))
        return sorted(found)

    def wait_for(self, words: str, within: float = 60.0) -> list[int]:
        """As `pids`, once there is one. Raises CommandFailed where there is none in time."""
        ends = time.monotonic() + within
        while not (found := self.pids(words)):
            if time.monotonic() > ends:
                raise CommandFailed(f"machine {self.name}: no process {words!r} after {within:g} s")
            time.sleep(0.1)
        return found
