"""GPUs from the CSV of `nvidia-smi --query-gpu=... --format=csv` (pure)."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from scepsy.discover.found import MIB, FoundGpu
from scepsy.discover.nvidia_smi.usage import taken_by
from scepsy.errors import BadInput

_NEEDED = ("name", "memory.total")
_NUMBER = re.compile(r"(\d+)(?: MiB)?")
_UNIT = re.compile(r" \[\w+\]$")
Row = Mapping[str, str]


def gpus_in_csv(text: str) -> tuple[FoundGpu, ...] | None:
    """The GPUs in the order of their numbers; None where the text has no table with a head.

    The columns `name` and `memory.total` are needed; `index`, `uuid`, `memory.used`,
    `memory.reserved`, `mig.mode.current` and `compute_mode` are used where they are there, and so
    is a second table, of `--query-compute-apps=gpu_uuid,pid`. Raises BadInput for a torn table.
    """
    tables = list(_tables(text))
    rows = next((found for head, found in tables if set(_NEEDED) <= set(head)), None)
    if rows is None:
        return None
    apps = [row for head, found in tables if "gpu_uuid" in head for row in found]
    processes = Counter(row["gpu_uuid"] for row in apps)
    numbered = {row.get("index", str(at)): row for at, row in enumerate(rows)}
    wanted = [str(at) for at in range(len(rows))]
    if set(numbered) != set(wanted):
        raise BadInput(
            f"the table of nvidia-smi has GPUs {', '.join(numbered)}; there must be all GPUs of a "
            "machine, numbered from 0, and of one machine in a file"
        )
    return tuple(_gpu(numbered[number], processes) for number in wanted)


def _gpu(row: Row, processes: Mapping[str, int]) -> FoundGpu:
    total, reserved = _bytes(row, "memory.total"), _bytes(row, "memory.reserved") or 0.0
    return FoundGpu(
        product=row["name"],
        memory=None if total is None else total - reserved,
        uuid=row.get("uuid"),
        taken=taken_by(
            used=_bytes(row, "memory.used"),
            processes=processes.get(row.get("uuid", ""), 0),
            mig=row.get("mig.mode.current"),
            compute_mode=row.get("compute_mode"),
        ),
    )


def _tables(text: str) -> Iterator[tuple[Sequence[str], list[Row]]]:
    """Every head of a table, and the rows below it."""
    head: Sequence[str] = ()
    rows: list[Row] = []
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        names = [_UNIT.sub("", cell.strip()) for cell in cells]
        if set(_NEEDED) <= set(names) or "gpu_uuid" in names:
            yield head, rows
            head, rows = names, []
        elif head and len(cells) == len(head):
            rows.append(dict(zip(head, (cell.strip() for cell in cells), strict=True)))
        elif head and rows and len(cells) > 1:
            raise BadInput(
                f"the table of nvidia-smi has a row of {len(cells)} cells under a head of "
                f"{len(head)}: {', '.join(cells)}"
            )
        else:
            yield head, rows
            head, rows = (), []
    yield head, rows


def _bytes(row: Row, column: str) -> float | None:
    """The bytes of "81559 MiB", and of "81559"; None for "[N/A]"."""
    found = _NUMBER.fullmatch(row.get(column, ""))
    return float(found[1]) * MIB if found else None
