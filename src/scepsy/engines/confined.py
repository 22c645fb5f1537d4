"""Runs a command on some cores, at a share of their time, and no longer than who started it.

`python -m scepsy.engines.confined` becomes the command; `confine` makes its command line.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from scepsy.engines.procfs import end_with_parent

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = 10_000
"""Microseconds after which a group may run again: a tenth of the kernel's usual period, so that a
share shows as slowness and not as stutter.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scepsy.engines.confined")
    parser.add_argument("--cores", help="of those that this process may use, counted from 0")
    parser.add_argument("--quota", type=float, help="seconds of processor time per second")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.exit_with_parent is not None:
        end_with_parent(options.exit_with_parent)
    if options.cores is not None:
        os.sched_setaffinity(0, chosen_cores(options.cores, os.sched_getaffinity(0)))
    if options.quota is not None:
        try:
            join_group(CGROUPS, os.getpid(), options.quota)
        except OSError as error:
            sys.exit(
                f"error: a share of a core cannot be enforced on this machine, since no cgroup can "
                f"be made ({error}); run as root, or plan and profile with whole cores (--shares 1)"
            )
    os.execvp(options.command[0], options.command)


def chosen_cores(indices: str, allowed: set[int]) -> set[int]:
    """The cores of these indices among those allowed, in their order."""
    ordered = sorted(allowed)
    wanted = [int(index) for index in indices.split(",")]
    if max(wanted) >= len(ordered):
        sys.exit(f"error: there is no core {max(wanted)}: this machine has {len(ordered)} to use")
    return {ordered[index] for index in wanted}


def join_group(root: Path, pid: int, quota: float) -> None:
    """Put the process into a new control group with so much processor time per second.

    Groups of processes that are gone go too: nobody else is there to remove them. Raises OSError
    where groups cannot be made.
    """
    unified = (root / "cgroup.controllers").exists()
    parent = root if unified else root / "cpu"
    for old in parent.glob("scepsy-*"):
        if not Path("/proc", old.name.removeprefix("scepsy-")).exists():
            with suppress(OSError):  # some process that it started may live on
                old.rmdir()
    group = parent / f"scepsy-{pid}"
    group.mkdir()
    if unified:
        (group / "cpu.max").write_text(f"{round(quota * PERIOD)} {PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(round(quota * PERIOD)))
    (group / "cgroup.procs").write_text(str(pid))


if __name__ == "__main__":
    main()
