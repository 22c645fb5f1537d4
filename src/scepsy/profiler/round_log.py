"""Keeps measured rounds on disk, so that an interrupted profile continues where it stopped."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from scepsy.curves.rounds import Round
from scepsy.errors import BadInput
from scepsy.store.lines import open_lines, read_lines, write_line


class RoundLog:
    """A file with one round per line, including those of an earlier, interrupted profile.

    A line is one write(2) in append mode, so that after a kill a round is there whole or not at
    all. Raises BadInput where the file cannot be read or written.
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
        """The rounds measured under `key`, in the order in which they were played."""
        return list(self._rounds[key])

    def append(self, one: Round) -> None:
        """Writes a round. Raises BadInput where it cannot be written, as on a full disk."""
        try:
            write_line(self._handle, one)
        except OSError as error:
            raise BadInput(f"{self._path}: cannot be written: {error.strerror}") from error
        self._rounds[one.key].append(one)

    def remove(self) -> None:
        """Removes the file, once the profile itself has been written."""
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
