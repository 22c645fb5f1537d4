"""The traced runs that a demo's plan knows."""

from __future__ import annotations

from pathlib import Path

from scepsy.core.trace import Trace
from scepsy.demo.settings import DemoSettings, settings_for
from scepsy.store import read_traces

ROOT = Path(__file__).parent.parent.parent


def planned_with(folder: Path, settings: DemoSettings | None = None) -> tuple[Trace, ...]:
    """Those that arrived in the measured window of the demo in `folder`, by default one on emulated
    engines that is not quick.

    The folder has the runs before and after the window, too. They have other inputs, and those
    after it that have ended are short: with them, a simulation would be of another workload than
    the one that the plan was made for.
    """
    known = settings or settings_for("emulated", ROOT, folder, 0)
    found: list[Trace] = []
    for program in known.programs:
        recorded = read_traces(folder / "traces", program.workflow).traces
        early = round(program.rate * known.trace_load * known.warmup)
        count = round(program.rate * known.duration)
        found += sorted(recorded, key=lambda run: run.start)[early : early + count]
    return tuple(found)
