"""Rounds that were measured, on disk, so that a profile goes on where it was cut short."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from scepsy.curves.rounds import Round
from scepsy.errors import BadInput
from scepsy.store.lines import open_lines, read_lines, write_line


class RoundLog:
    """A file of rounds, one a line, with those that an earlier, interrupted profile left there.

    A line is one write(2) in append mode: whenever we are killed, a round is there or it is not.
    Raises BadInput where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rounds: dict[str, list[Round]] = defaultdict(list)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = open_lines(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
        try:
            for _, one in read_lines(path, Round, []):
                self._rounds[one.key].append(one)
        except BadInput as error:
            raise BadInput(f"{error}; remove the file to measure anew") from error

    def rounds(self, key: str) -> list[Round]:
        """What was measured under `key`, in its order."""
        return list(self._rounds[key])

    def append(self, one: Round) -> None:
        """Raises BadInput where there is no room."""
        try:
            write_line(self._handle, one)
        except OSError as error:
            raise BadInput(f"{self._path}: cannot be written: {error.strerror}") from error
        self._rounds[one.key].append(one)

    def remove(self) -> None:
        """When the profile itself is safe."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> RoundLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._handle)
