"""Layer L4 on the calls that `run.py` recorded: templates learned from known runs assign the calls
without any label, and the result is compared with the truth. Writes
docs/evaluation/frameworks-unlabelled.json and its table.

    python experiments/frameworks/unlabelled.py     # again, on the last run's traces
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import envs
import msgspec
from scenarios import SYLLABLES
from table import between

from scepsy.core.record import Record
from scepsy.core.trace import Call
from scepsy.store import TraceSet, holds_traces, read_traces
from scepsy.traces.unattributed import Attribution, attribute, is_certain

KNOWN = ("tasks+", "threads+", "serve")
BARE = ("tasks", "threads", "turns")
WORD = re.compile(f"zq(?:{'|'.join(SYLLABLES)}){{6}}")


class Row(Record, frozen=True, kw_only=True):
    """Unlabelled calls of `concurrent_runs` runs, in one mode of `host.py`.

    Attributes:
        known_runs: number of runs from which templates were learned.
        calls: successful calls.
        by_workflow: calls that were assigned to a workflow.
        runs: inferred number of runs; None if it was refused.
        n, n_inferred: calls per run by LLM, true and inferred.
        refused: reasons for what was not inferred.
        attributed: calls in whole runs that templates found.
        misattributed: calls that were put together with another run's.
    """

    framework: str
    mode: str
    concurrent_runs: int
    known_runs: int
    calls: int
    by_workflow: int
    runs: float | None
    n: dict[str, float]
    n_inferred: dict[str, float | None]
    refused: tuple[str, ...]
    attributed: int
    misattributed: int


def rows(name: str) -> Iterable[Row]:
    """A row per unlabelled mode of a framework, from its traces under out/."""
    folder = envs.OUT / "traces" / name
    sets = {mode: read_traces(folder / mode) for mode in (*KNOWN, *BARE) if _there(folder / mode)}
    known = [run for mode in KNOWN if mode in sets for run in sets[mode].traces if is_certain(run)]
    for mode in (mode for mode in BARE if mode in sets):
        calls = [call for call in _all(sets[mode]) if call.ok]
        judged = _row(name, mode, calls, attribute(known, calls))
        yield msgspec.structs.replace(judged, known_runs=len(known))


def _there(folder: Path) -> bool:
    return holds_traces(folder)


def _all(found: TraceSet) -> list[Call]:
    return [*found.unassigned, *(call for run in found.traces for call in run.calls)]


def _row(name: str, mode: str, calls: list[Call], seen: Attribution) -> Row:
    truth = {call.call: _word(call) for call in calls}
    words = set(truth.values())
    counts = Counter(call.llm for call in calls)
    [total] = [one for one in seen.totals if one.workflow == name] or [None]
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for call in (call for run in seen.runs for call in run.calls):
        votes[call.run][truth[call.call]] += 1
    return Row(
        framework=name,
        mode=mode,
        concurrent_runs=len(words),
        known_runs=0,
        calls=len(calls),
        by_workflow=sum(one.calls for one in total.llms) if total else 0,
        runs=total.runs if total else None,
        n={llm: count / len(words) for llm, count in sorted(counts.items())},
        n_inferred={one.llm: one.n for one in total.llms} if total else {},
        refused=(*(total.refused if total else ()), *seen.notes),
        attributed=sum(map(Counter.total, votes.values())),
        misattributed=sum(vote.total() - max(vote.values()) for vote in votes.values()),
    )


def _word(call: Call) -> str:
    """The word that only the call's run contains (`scenarios.words`)."""
    found = set(WORD.findall(call.request or ""))
    if len(found) != 1:
        raise SystemExit(f"call {call.call} carries the words {found}")
    return found.pop()


def lines(found: Iterable[Row]) -> list[str]:
    """The table of docs/evaluation/frameworks.md."""
    head = "| framework | how | calls | of the workflow | runs | n | in whole runs | wrong |"
    return [
        head,
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.framework} | `{row.mode}` | {row.calls} | {row.by_workflow} | "
            f"{'refused' if row.runs is None else f'{row.runs:.3g}'} of {row.concurrent_runs} | "
            f"{exactness(row)} | {row.attributed} | {row.misattributed} |"
            for row in found
        ),
    ]


def exactness(row: Row) -> str:
    known = {llm: n for llm, n in row.n_inferred.items() if n is not None}
    if not known:
        return "refused"
    off = max(abs(n / row.n[llm] - 1) for llm, n in known.items())
    some = "" if known.keys() == row.n.keys() else f"{len(known)} of {len(row.n)} LLMs, "
    return some + ("exact" if off < 1e-9 else f"{off:.0%} off")


def write(found: Sequence[Row], folder: Path) -> None:
    """Writes frameworks-unlabelled.json, and its table if there is a page. Exits if a call is
    misattributed.
    """
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (folder / "frameworks-unlabelled.json").write_bytes(encoded + b"\n")
    page = folder / "frameworks.md"
    if page.is_file():
        page.write_text(between(page.read_text(), "unlabelled", lines(found)))
    if sum(row.misattributed for row in found):
        raise SystemExit("calls were assigned to a wrong run: see frameworks-unlabelled.json")


if __name__ == "__main__":
    write([row for name in envs.names() for row in rows(name)], envs.ROOT / "docs" / "evaluation")
