"""Runs a command on chosen processor cores, with a share of their time, until its parent ends.

`python -m scepsy.engines.confined` replaces itself by the command. `confine` makes its command
line.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from scepsy.engines.procfs import end_with_parent

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux mounts control groups."""

PERIOD = 10_000
"""Microseconds in which a group may use its quota. This is a tenth of the kernel's default, so that
an engine with a small share runs slowly all the time instead of stopping now and then.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scepsy.engines.confined")
    parser.add_argument(
        "--cores", help="indices among the cores that this process may use, counted from 0"
    )
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
    """The `allowed` cores with these indices (comma-separated), counted in rising order."""
    ordered = sorted(allowed)
    wanted = [int(index) for index in indices.split(",")]
    if max(wanted) >= len(ordered):
        sys.exit(f"error: there is no core {max(wanted)}: this machine has {len(ordered)} to use")
    return {ordered[index] for index in wanted}


def join_group(root: Path, pid: int, quota: float) -> None:
    """Puts the process into a new control group with `quota` seconds of processor time per second.

    Groups whose processes have ended are removed, because nothing else removes them. Raises OSError
    where groups cannot be made.
    """
    unified = (root / "cgroup.controllers").exists()
    parent = root if unified else root / "cpu"
    for old in parent.glob("scepsy-*"):
        if not Path("/proc", old.name.removeprefix("scepsy-")).exists():
            with suppress(OSError):  # a child process may still be in the group
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
