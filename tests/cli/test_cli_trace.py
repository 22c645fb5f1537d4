"""What `scepsy trace` makes of programs that fail after good calls."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from openai_like import openai_like
from scepsy.store import read_traces
from scepsy.store.trace_files import files_of

AGENT = """
import json, os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
body = json.dumps({"model": "m", "messages": []}).encode()
request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
urllib.request.urlopen(request).read()
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("codes", "good"), [("0\n3\n", 1), ("3\n3\n", 0)])
async def test_a_program_that_fails_is_no_good_run(tmp_path: Path, codes: str, good: int) -> None:
    (tmp_path / "inputs").write_text(codes)
    async with openai_like() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scepsy", "trace", "--json", "--workflow", "w",
            "--out", str(tmp_path / "t"), "--upstream", server.url,
            "--each", str(tmp_path / "inputs"), "--", sys.executable, "-c", AGENT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
    assert process.returncode == 8, err
    assert b"the first: exit code 3" in err
    assert [demand["runs"] for demand in json.loads(out)["demands"]] == [good] * bool(good)
    traces = read_traces(tmp_path / "t").traces
    assert [trace.ok for trace in traces].count(True) == good
    assert len(traces) == 2
    (file,) = files_of(tmp_path / "t", "runs")
    lines = file.read_text().splitlines()
    marks = [json.loads(line) for line in lines]
    assert {mark["error"] for mark in marks} == {"exit code 3"}
