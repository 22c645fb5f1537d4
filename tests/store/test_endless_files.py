"""Nothing is read without bound: neither a file without end nor a line without end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scepsy.core.trace import Call
from scepsy.drive.inputs import read_inputs
from scepsy.errors import BadInput
from scepsy.estimate.step_times.files import read_tables
from scepsy.store import foreign, json_texts, read_arrivals, read_foreign
from scepsy.store.files import lines_of
from scepsy.store.lines import read_lines

ZERO = Path("/dev/zero")
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "calls": (lambda path: list(read_lines(path, Call, [])), "a line is longer than 64 MiB"),
    "arrivals": (read_arrivals, "a line is longer than 64 MiB"),
    "inputs": (read_inputs, "a line is longer than 64 MiB"),
    "step table": (read_tables, "larger than the 256 MiB"),
    "import": (lambda path: list(read_foreign(path)), "binary, not text"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_without_end_is_refused(name: str) -> None:
    read, message = READERS[name]
    with pytest.raises(BadInput, match=f"/dev/zero: {message}"):
        read(ZERO)


def endless(pipe: Path, content: bytes) -> threading.Thread:
    """Writes into a FIFO until its reader leaves."""

    def write() -> None:
        try:
            with pipe.open("wb", buffering=0) as file:
                while True:
                    file.write(content)
        except BrokenPipeError:
            return

    os.mkfifo(pipe)
    writer = threading.Thread(target=write)
    writer.start()
    return writer


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, ', "a line is longer than 1 MiB"),
        (b'{\n"a": 1,\n', "one JSON document of more than 1 MiB, which would be held in memory"),
        (b"a,b,c,d", "a line is longer than a row may be"),
    ],
)
def test_an_import_from_a_pipe_that_never_ends_is_refused(
    tmp_path: Path, content: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit of 1 MiB instead of 2 GiB, which would only take longer."""
    monkeypatch.setattr(json_texts, "DOCUMENT_BYTES_MAX", 1 << 20)
    monkeypatch.setattr(foreign, "_FIELD_MAX", 1 << 20)
    writer = endless(tmp_path / "pipe", content)
    with pytest.raises(BadInput, match=message):
        list(read_foreign(tmp_path / "pipe"))
    writer.join(timeout=60)
    assert not writer.is_alive()


def test_lines_are_read_one_after_another_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1234567\n" * 3 + b"12345678\n")
    lines = lines_of(path, 8)
    assert [next(lines) for _ in range(3)] == [b"1234567\n"] * 3
    with pytest.raises(BadInput, match="a line is longer"):
        next(lines)


def test_a_line_that_grows_while_it_is_read_ends_the_reading(tmp_path: Path) -> None:
    """A writer may add to a file after its last, torn line was read."""
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b'{"run": "a')
    warnings: list[str] = []
    assert list(read_lines(path, Call, warnings)) == []
    assert warnings == [f"{path}:1: the last line is torn and was left out"]
