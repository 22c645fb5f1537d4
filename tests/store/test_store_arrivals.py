"""Arrival times of public traces, and of nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.errors import BadInput
from scepsy.store import read_arrivals

AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:05.0319600,3180,8\n"
)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ('{"timestamp": 500, "input_length": 6}\n{"timestamp": 2000}\n', [0.0, 1.5]),
        (AZURE, [0.0, 1.052]),
        # Azure's traces of 2024 name the zone, and write no fraction where it is zero.
        ("TIMESTAMP,x\n2024-05-10 00:00:00.5+00:00,1\n2024-05-10 00:00:01+00:00,1\n", [0, 0.5]),
        ("\ufeff\r\nTIMESTAMP,x\r\n2024-05-10 00:00:00,1\r\n2024-05-10 00:00:01,1\r\n", [0, 1]),
        ('{"timestamp": 0, "text": "a\u2028b"}\r\n{"timestamp": 250}', [0, 0.25]),
        ("3\n1.5\n\n2e0\n", [0.0, 0.5, 1.5]),
    ],
)
def test_formats(tmp_path: Path, text: str, times: list[float]) -> None:
    (tmp_path / "arrivals").write_text(text)
    assert read_arrivals(tmp_path / "arrivals") == pytest.approx(times)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\nsoon\n", r"arrivals:2: no arrival time"),
        ('{"timestamp": 1}\n{"time": 2}\n', r"arrivals:2: no arrival time .*timestamp"),
        ("TIMESTAMP,x\nyesterday,3\n", r"arrivals:2: no arrival time"),
        ("MY_TIMESTAMP,x\n1,2\n", r"arrivals:1: no arrival time"),
        ("TIMESTAMP,x\n" + "9" * 200_000 + ",1\n", r"arrivals:2: no arrival time"),
        ("1\nnan\n", r"arrivals:2: nan is no arrival time"),
        ("", r"0 arrival times; at least two"),
        ("4\n4\n", r"2 arrival times; at least two different"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "arrivals").write_text(text)
    with pytest.raises(BadInput, match=words):
        read_arrivals(tmp_path / "arrivals")
