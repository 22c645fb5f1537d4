"""A network of machines behind one bridge of this machine."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from scepsy.engines.procfs import identity
from scepsy.testing.machines.commands import CommandFailed, ip, ip_json
from scepsy.testing.machines.machine import Machine
from scepsy.testing.machines.names import Names, free_subnet, maker

_GATEWAY = 254
"""The last number of this machine's own address in the network."""

_numbers = itertools.count()


class Network:
    """Machines with addresses of their own that reach each other and this machine, and nothing
    else. Use it as a context manager: whatever happens in the block, all is removed at its end.

    `seen_at` is a path at which every machine sees a folder of its own.

    Attributes:
        machines: by name. They are off before the block begins and on within it.
        address: this machine's address in the network.
        folder: a temporary folder with the machines' folders.
    """

    def __init__(self, names: Sequence[str], *, seen_at: Path = Path("/tmp/ray")) -> None:
        self._names = Names(os.getpid(), next(_numbers))
        self._wanted = tuple(names)
        self._seen_at = seen_at
        self.machines: dict[str, Machine] = {}
        self.address = ""
        self.folder = Path()

    def __enter__(self) -> Network:
        remove_left_behind()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self._names.bridge}+"))
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def _make(self) -> None:
        bridge = self._names.bridge
        taken = [
            one["local"] for link in ip_json("-4", "address") for one in link.get("addr_info", ())
        ]
        subnet = free_subnet(taken)
        self.address = f"{subnet}.{_GATEWAY}"
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        ip("address", "add", f"{self.address}/24", "dev", bridge)
        for number, name in enumerate(self._wanted, start=1):
            machine = Machine(
                name=name,
                address=f"{subnet}.{number}",
                namespace=self._names.namespace(name),
                folder=self.folder / name,
                seen_at=self._seen_at,
            )
            self.machines[name] = machine
            link, inside = self._names.link(number), machine.namespace
            ip("netns", "add", inside)
            ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", inside)
            ip("link", "set", link, "master", bridge, "up")
            ip("-n", inside, "address", "add", f"{machine.address}/24", "dev", "eth0")
            ip("-n", inside, "link", "set", "lo", "up")
            machine.power_on()

    def _remove(self) -> None:
        for machine in self.machines.values():
            machine.power_off()
        for machine in self.machines.values():
            with suppress(CommandFailed):  # it may not have been made
                ip("netns", "delete", machine.namespace)
        with suppress(CommandFailed):
            ip("link", "delete", self._names.bridge)
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_left_behind() -> None:
    """Removes bridges, namespaces and folders of processes that were killed. Their machines ended
    with them.
    """
    links = [one["ifname"] for one in ip_json("link", "show", "type", "bridge") if one]
    for link in links:
        if _is_left_behind(link):
            ip("link", "delete", link)
    for one in ip_json("netns", "list"):
        if _is_left_behind(one["name"]):
            ip("netns", "delete", one["name"])
    for folder in Path(tempfile.gettempdir()).glob("sy-*"):
        if _is_left_behind(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_behind(name: str) -> bool:
    pid = maker(name)
    return pid is not None and identity(pid) is None
