"""Engines on one emulated GPU see what the others want, and forget who is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scepsy.engines.emulated.board import Board

OTHER = (
    "import sys, pathlib\n"
    "from scepsy.engines.emulated.board import Board\n"
    "board = Board(pathlib.Path(sys.argv[1]))\n"
    "board.post(0.7, 600.0)\n"
    "print(board.others(), flush=True)\n"
    "sys.stdin.read()\n"
)


def test_demands_are_seen_by_the_others_until_they_run_out(tmp_path: Path) -> None:
    path = tmp_path / "boards" / "node-0"
    board = Board(path)
    board.post(0.4, 600.0)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert float(other.stdout.readline()) == pytest.approx(0.4)
        assert board.others() == pytest.approx(0.7)
        board.post(0.4, -1.0)
        assert board.others() == pytest.approx(0.7)
        other.stdin.close()
    newcomer = Board(path)  # takes the place of the one that is gone
    assert board.others() == 0.0
    newcomer.post(0.2, 600.0)
    assert board.others() == pytest.approx(0.2)
