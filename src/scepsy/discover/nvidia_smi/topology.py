"""The matrix of `nvidia-smi topo -m` (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scepsy.errors import BadInput

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_HEAD = re.compile(r"^\s*GPU0(\s|$)")
_COLUMN = re.compile(r"\bGPU(\d+)\b")
_ROW = re.compile(r"^\s*GPU(\d+)\s+(\S.*)$")
_NVLINK = re.compile(r"NV\d+")
_OTHERS = ("X", "SYS", "NODE", "PHB", "PXB", "PIX", "PSB")


def without_styles(text: str) -> str:
    """The text without the escape codes by which nvidia-smi underlines the head of the matrix."""
    return _ANSI.sub("", text)


def links_of(text: str) -> frozenset[tuple[int, int]] | None:
    """Pairs of numbers of GPUs that NVLink joins, the lower number first; None where the text has
    no matrix. NICs, affinities and the legend are skipped. Raises BadInput for a torn matrix.
    """
    lines = without_styles(text).splitlines()
    heads = [at for at, line in enumerate(lines) if _is_head(line)]
    if not heads:
        return None
    if len(heads) > 1:
        raise BadInput("there are matrices of several machines in it; use one file for each")
    (head,) = heads
    columns = [int(number) for number in _COLUMN.findall(lines[head])]
    rows = dict(_rows(lines[head + 1 :], len(columns)))
    if missing := [number for number in columns if number not in rows]:
        raise BadInput(f"the matrix of `nvidia-smi topo -m` has no row for GPU{missing[0]}")
    return frozenset(
        (min(row, column), max(row, column))
        for row, relations in rows.items()
        for column, relation in zip(columns, relations, strict=True)
        if row != column and _NVLINK.fullmatch(relation)
    )


def without_matrix(text: str) -> str:
    """The text without the matrix; its legend stays."""
    lines = without_styles(text).splitlines()
    head = next((at for at, line in enumerate(lines) if _is_head(line)), len(lines))
    end = next((at for at in range(head, len(lines)) if not lines[at].strip()), len(lines))
    return "\n".join(lines[:head] + lines[end:])


def _is_head(line: str) -> bool:
    """A matrix of one GPU has a head "GPU0 CPU Affinity", its row "GPU0 X 0-15"."""
    found = _HEAD.match(line)
    return found is not None and line.split()[1:2] != ["X"]


def _rows(lines: list[str], columns: int) -> Iterator[tuple[int, list[str]]]:
    for line in lines:
        if (row := _ROW.match(line)) is None:
            continue
        relations = row[2].split()[:columns]
        known = [one for one in relations if one in _OTHERS or _NVLINK.fullmatch(one)]
        if len(known) < columns:
            raise BadInput(
                f"the matrix of `nvidia-smi topo -m` has a row that cannot be read: {line.strip()}"
            )
        yield int(row[1]), relations
