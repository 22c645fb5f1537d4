"""A trace is read however it was wrapped, compressed or encoded on its way into a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from foreign_traces import CALL, imported, otlp_run, summary

ONE, OTHER = json.dumps(otlp_run()), json.dumps(otlp_run("c"))
SPANS = otlp_run()["resourceSpans"]
WRAPPED: dict[str, object] = {
    "list": [otlp_run()],
    "list of lists": [[otlp_run()]],
    "object": {"traces": otlp_run()},
    "two objects": {"data": {"trace": otlp_run()}},
    "kwargs": {"kwargs": {"payload": otlp_run()}},
    "text in a log record": {"timestamp": 1, "body": ONE},
    "text in text": json.dumps(ONE),
    "Tempo": {"batches": SPANS},
    "Grafana": {"traceID": "t", "trace": {"resourceSpans": SPANS}},
    "byte order mark": b"\xef\xbb\xbf" + ONE.encode(),
    "UTF-16": ONE.encode("utf-16"),
    "CRLF": json.dumps(otlp_run(), indent=1).replace("\n", "\r\n"),
    "gzip": gzip.compress(ONE.encode()),
    "gzip twice": gzip.compress(gzip.compress(ONE.encode())),
    "zero bytes at the end": f"{ONE}\n\0\0\0",
    "log line": f'2026-11-01 10:00:00,123 [otel] INFO {ONE}\nsome, "other" line\n',
    "cut off at the end": f"{ONE}\n{OTHER[:300]}",
}
TWO: dict[str, str] = {
    "lines": f"{ONE}\n{OTHER}\n",
    "lines with CRLF and empty ones": f"\r\n{ONE}\r\n\r\n{OTHER}\r\n",
    "one after another": ONE + OTHER,
    "one after another, indented": json.dumps(otlp_run(), indent=2) + f"\n{OTHER}",
    "commas at the ends": f"[{ONE},\n{OTHER},]",
    "lines with commas": f"{ONE},\n{OTHER},\n",
    "record separators": f"\x1e{ONE}\n\x1e{OTHER}\n",
    "server-sent events": f"data: {ONE}\n\ndata: {OTHER}\n",
    "container log": f"2026-11-01T10:00:00Z out F {ONE}\n2026-11-01T10:00:01Z out F {OTHER}\n",
}


@pytest.mark.parametrize("name", WRAPPED)
def test_one_trace(tmp_path: Path, name: str) -> None:
    kind, found = imported(tmp_path / "spans", WRAPPED[name])
    assert kind == "otlp"
    assert [summary(call) for call in found.calls] == [CALL]


@pytest.mark.parametrize("name", TWO)
def test_two_traces(tmp_path: Path, name: str) -> None:
    _, found = imported(tmp_path / "spans", TWO[name])
    assert [summary(call) for call in found.calls] == [CALL, CALL]
    assert "counted once: 1 span that the files contain more than once" in found.notes  # the root
    assert not found.left_out
