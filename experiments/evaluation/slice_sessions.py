"""The slice of recorded coding sessions that the evaluation's fourth workflow is made of.

    .venv/bin/python experiments/evaluation/slice_sessions.py REQUESTS.csv.gz

Keeps the turns of main agents (from what a person asks to the end of the agent's turn) whose calls
are all timed and have at most `LONGEST` tokens, and of each sub-agent the timed calls up to that.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

LONGEST = 65_536
OUT = Path(__file__).parent.parent / "data" / "coding_sessions.csv.gz"
Row = dict[str, str]


def fits(row: Row) -> bool:
    tokens = int(row["input_tokens"]) + int(row["output_tokens"])
    return bool(row["api_time_s"]) and int(row["output_tokens"]) > 0 and tokens <= LONGEST


def turns(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """What a main agent called until it ended its turn; the last one may never have."""
    turn: list[Row] = []
    for row in rows:
        turn.append(row)
        if row["stop"] == "end_turn":
            yield turn
            turn = []


def kept(agent: str, rows: Sequence[Row]) -> list[Row]:
    if agent != "main":
        found = [row for row in rows if fits(row)]
        return found if len(found) > 1 else []
    return [row for turn in turns(rows) if all(map(fits, turn)) for row in turn]


def main() -> None:
    with gzip.open(sys.argv[1], "rt") as source:
        rows = list(csv.DictReader(source))
    agents: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        agents[row["trace_id"], row["agent"]].append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for (_, agent), of in agents.items():
        writer.writerows(kept(agent, sorted(of, key=lambda row: int(row["idx"]))))
    OUT.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main()
