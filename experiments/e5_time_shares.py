"""E5: how steady is each LLM's share of a run's LLM time really, beside the time itself?

    .venv/bin/python experiments/e5_time_shares.py [--data DIR] [--traces DIR]...

Reads the public agent traces of the data directory as they are, the evaluation's own workflows run
one at a time in simulated time, what `make examples` measured of the example programs
(examples.json), and trace directories where some are named; writes docs/evaluation/e5.json and
e5.svg, and prints the same as a table.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from evaluation.pictures import bars
from evaluation.tracing import traced
from evaluation.workflows import LLMS, programs

from scepsy.convert import FORMATS, assemble, detect
from scepsy.core.trace import Call, Trace
from scepsy.store import read_foreign, read_traces
from scepsy.traces.stability import RUNS_MIN_TO_COMPARE, Stability, stability

ROOT = Path(__file__).parent.parent
OWN = "evaluation's workflows, simulated"
SEED, RUNS = 1, 100
COMMITTED = ROOT / "docs" / "evaluation" / "e5.json"
PUBLIC = ("agentic_coding_weka", "tracelab", "mooncake")
TRACING = "Scepsy's own tracing"
TABLE = re.compile(r"^(?:\|.*\n)+", re.MULTILINE)
"""Of the page, which is written by hand otherwise."""
WEKA = "agentic_coding_weka/requests.csv.gz"
TIERS = ("opus", "sonnet", "haiku")


@dataclass(frozen=True, slots=True)
class Row:
    """One share of one case. Shares and CVs are fractions; None where nothing is known."""

    data: str
    case: str
    runs: int
    left_out: int
    cv_latency: float | None
    cv_llm_time: float | None
    whose: str | None = None
    share: float | None = None
    sd: float | None = None
    cv: float | None = None
    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    steadier: bool | None = None
    runs_to_add: int | None = None
    remark: str = ""


Label = Callable[[Call], str]


def foreign(path: Path) -> list[Trace]:
    """The runs of a file of another tool; its LLM is called "one" where it names none."""
    parts = list(read_foreign(path))
    spans = FORMATS[detect(parts[:20])].spans(parts)
    found = assemble(spans, workflow=path.parent.name, fallback=path.stem, llm="one")
    runs: dict[str, list[Call]] = {}
    for call in found.calls:
        runs.setdefault(call.run, []).append(call)
    return [
        Trace(
            run=run,
            workflow=path.parent.name,
            start=min(call.start for call in calls),
            end=max(call.end for call in calls),
            calls=tuple(sorted(calls, key=lambda call: call.start)),
        )
        for run, calls in runs.items()
    ]


def rows(data: str, case: str, traces: Sequence[Trace], label: Label | None = None) -> list[Row]:
    """One per share, the largest first; a single one with a remark where nothing can be said."""
    merged = [msgspec.structs.replace(trace, workflow=case) for trace in traces]
    found = stability(merged) if label is None else stability(merged, label)
    return [row for one in found for row in _rows(data, case, one)]


def _rows(data: str, case: str, found: Stability) -> list[Row]:
    latency, total = found.latency, found.llm_time
    if (
        latency is None
        or total is None
        or len(found.shares) < 2
        or found.runs < RUNS_MIN_TO_COMPARE
    ):
        return [
            Row(data, case, found.runs, found.untimed, None, None, remark=found.warnings[0]),
        ]
    return [
        Row(
            data,
            case,
            found.runs,
            found.untimed,
            round(latency.cv, 3),
            round(total.cv, 3),
            whose=one.llm,
            share=round(one.share.mean, 4),
            sd=round(one.share.mean * one.share.cv, 4),
            cv=round(one.share.cv, 3),
            p10=round(one.share.p10, 4),
            p50=round(one.share.p50, 4),
            p90=round(one.share.p90, 4),
            steadier=one.share.cv < total.cv,
            runs_to_add=one.more_runs,
        )
        for one in found.shares
    ]


def weka(path: Path) -> list[Row]:
    """Claude Code sessions: by LLM, by tier, by agent, by what a call answers."""
    name = path.parent.name
    sessions = foreign(path)
    long = [one for one in sessions if len(one.calls) >= 20]
    tiers = [one for one in sessions if len({tier(call) for call in one.calls}) > 1]
    agents = [one for one in sessions if len({agent(call) for call in one.calls}) > 1]
    found = [
        *rows(name, "by LLM, all sessions", sessions),
        *rows(name, "by tier, all sessions", sessions, tier),
        *rows(name, "by tier, sessions of several tiers", tiers, tier),
        *rows(name, "role: agent, sessions with sub-agents", agents, agent),
        *rows(name, "role: what a call answers, all sessions", sessions, answers(path)),
        *rows(name, "role: what a call answers, sessions of 20+ calls", long, answers(path)),
    ]
    sets = Counter(frozenset(call.llm for call in one.calls) for one in sessions)
    for llms, _ in sets.most_common():
        same = [one for one in sessions if {call.llm for call in one.calls} == llms]
        timed = sum(all(call.timed for call in one.calls) for one in same)
        if len(llms) > 1 and timed >= RUNS_MIN_TO_COMPARE:
            found += rows(name, f"by LLM, sessions of {' + '.join(sorted(llms))}", same)
    return found


def tier(call: Call) -> str:
    return next(one for one in TIERS if one in call.llm)


def agent(call: Call) -> str:
    """`main`, or the kind of sub-agent; the call's name is SESSION/AGENT/INDEX."""
    return call.call.split("/")[1].split(":")[-1]


def answers(path: Path) -> Label:
    """Whether a call answers a person or a tool, by why the agent's call before it stopped."""
    stopped: dict[str, str] = {}
    known: dict[str, str] = {}
    for row in read_foreign(path):
        who = f"{row.text('trace_id')}/{row.text('agent')}"
        known[f"{who}/{row.text('idx')}"] = (
            "answers a tool" if stopped.get(who) == "tool_use" else "answers a person"
        )
        stopped[who] = row.text("stop") or "tool_use"
    return lambda call: known[call.call]


def simulated() -> list[Row]:
    """The evaluation's workflows, alone on one replica of each LLM at its smallest TP degree."""
    found: list[Row] = []
    for name, program in programs(SEED).items():
        found += rows(OWN, name, traced(program, RUNS, LLMS, "h100"))
    return found


def examples(path: Path) -> list[Row]:
    """The example programs on emulated engines, as `make examples` measured them."""
    known = json.loads(path.read_text())
    found: list[Row] = []
    for program in known["programs"]:
        for llm in sorted(program["llms"], key=lambda one: -one["time_share"]):
            share, cv = llm["time_share"], llm["time_share_cv"]
            steadier = None if cv is None else cv < program["latency"]["cv"]
            found.append(
                Row(
                    *("examples on emulated engines", program["program"], program["runs"], 0),
                    *(round(program["latency"]["cv"], 3), None),
                    whose=llm["llm"],
                    share=round(share, 4),
                    sd=None if cv is None else round(share * cv, 4),
                    cv=None if cv is None else round(cv, 3),
                    steadier=steadier,
                )
            )
    return found


def public(data: Path) -> list[Row]:
    found = weka(data / WEKA)
    for file in (
        "tracelab/round_trace.sanitized.example.jsonl",
        "tracelab/multi_session_large.csv",
        "mooncake/conversation_trace.jsonl",
        "mooncake/synthetic_trace.jsonl",
    ):
        found += rows(Path(file).parent.name, Path(file).name, foreign(data / file))
    return found


def ours(directories: Iterable[Path]) -> list[Row]:
    found = simulated() + examples(ROOT / "docs" / "evaluation" / "examples.json")
    for directory in directories:
        traces = read_traces(directory).traces
        for workflow in sorted({trace.workflow for trace in traces}):
            mine = [trace for trace in traces if trace.workflow == workflow]
            found += rows(TRACING, workflow, mine)
    return found


def table(found: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| data | case | runs (left out) | CV latency | CV LLM time | whose share | mean | sd | CV "
        "| p10-p90 | steadier | runs to add |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        head = f"| {row.data} | {row.case} | {row.runs} ({row.left_out}) |"
        if row.whose is None:
            lines.append(f"{head} | | {row.remark} | | | | | | |")
            continue
        spread = "" if row.p10 is None else f"{row.p10:.0%}-{row.p90:.0%}"
        lines.append(
            f"{head} {row.cv_latency:.2f} | {_number(row.cv_llm_time)} | {row.whose} "
            f"| {row.share:.1%} | {'' if row.sd is None else f'{row.sd:.1%}'} | {_number(row.cv)} "
            f"| {spread} | {'yes' if row.steadier else 'no'} | {_whole(row.runs_to_add)} |"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)


def committed(data: Container[str]) -> list[Row]:
    """Rows of these data as they were measured before."""
    before = [Row(**row) for row in json.loads(COMMITTED.read_text())]
    return [row for row in before if row.data in data]


def default_data() -> Path | None:
    """`shared/data` of the nearest directory above that has one."""
    places = (up / "shared" / "data" for up in ROOT.parents)
    return next((place for place in places if place.is_dir()), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--traces", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path, default=COMMITTED)
    given = parser.parse_args()
    if given.data is not None and (given.data / WEKA).is_file():
        found = public(given.data)
    else:
        print(f"no {WEKA} in --data: rows of public traces stay as they were")
        found = committed(PUBLIC)
    found += ours(given.traces) if given.traces else [*ours(()), *committed({TRACING})]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(row)) for row in found)
    given.out.write_text(f"[\n{lines}\n]\n")
    bars(
        "CV of a run's LLM time (or latency) over the CV of a share: above 1, it is steadier",
        {
            f"{row.data[:24]}, {row.case[:30]}: {row.whose}": (row.cv_llm_time or row.cv_latency)
            / row.cv
            for row in found
            if row.cv and row.cv_latency and (row.share or 0) >= 0.05
        },
        given.out.with_suffix(".svg"),
    )
    print(table(found))
    page = given.out.with_suffix(".md")
    if page.is_file():
        page.write_text(TABLE.sub(lambda _: table(found) + "\n", page.read_text(), count=1))


if __name__ == "__main__":
    main()
