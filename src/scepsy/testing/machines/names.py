"""Names of bridges, network namespaces and virtual links. They hold the pid of the process that
made them, so that what a killed process left behind can be found (pure).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OURS = re.compile(r"sy-(?P<pid>[0-9a-f]+)-\d+(?:[.+].*)?")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one network: the `number`-th of the process `pid`.

    Names of links have at most 15 characters, which is the limit of Linux.
    """

    pid: int
    number: int

    @property
    def bridge(self) -> str:
        return f"sy-{self.pid:x}-{self.number}"

    def link(self, machine: int) -> str:
        """The bridge's end of the `machine`-th machine's link."""
        return f"{self.bridge}.{machine}"

    def namespace(self, machine: str) -> str:
        """The network namespace of the machine with this name."""
        return f"{self.bridge}+{machine}"


def maker(name: str) -> int | None:
    """The pid of the process that made the bridge, link or namespace of this name; None for the
    name of something else.
    """
    found = _OURS.fullmatch(name)
    return None if found is None else int(found["pid"], 16)


def free_subnet(taken: list[str]) -> str:
    """The first three numbers of a /24 network in 10.77.0.0/16 with none of the addresses `taken`.

    Raises LookupError where all are taken.
    """
    used = {address.rpartition(".")[0] for address in taken}
    for third in range(1, 255):
        if (subnet := f"10.77.{third}") not in used:
            return subnet
    raise LookupError("all networks in 10.77.0.0/16 are taken")
