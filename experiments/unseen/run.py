"""Three programs that nothing was tuned on, each traced, profiled, planned, deployed and driven.

    python -m experiments.unseen.run [NAME ...] [--quick]

Emulated engines on two nodes of four H100 (examples/cluster.toml), four minutes a program on two
quiet cores, into out/unseen. Prints what was predicted and measured of each, as JSON.
`--quick`: eight times real speed and few runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from scepsy.demo.run import PhaseListener, run
from scepsy.demo.settings import DemoProgram, DemoSettings, quick_settings
from scepsy.profiler import SweepSettings
from scepsy.report.data import Summary

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "unseen"
HERE = Path(__file__).parent
RUNS = 40
"""Runs of each program, traced and driven."""
RATES = {"itinerary": 0.6, "incident": 1.2, "digest": 0.5}
"""Target rates in runs per second: between a third and two thirds of what these GPUs carry."""


def settings(name: str, *, quick: bool) -> DemoSettings:
    """The demo's settings, with one program, and more runs of it."""
    inputs = OUT / f"{name}.txt"
    inputs.parent.mkdir(parents=True, exist_ok=True)
    inputs.write_text("".join(f"{name} number {index}\n" for index in range(RUNS)))
    rate = RATES[name]
    full = DemoSettings(
        programs=(DemoProgram(name, HERE / f"{name}.py", inputs, rate),),
        engine="emulated",
        cluster=ROOT / "examples" / "cluster.toml",
        llms=ROOT / "examples" / "llms.toml",
        out=OUT / name,
        duration=RUNS / rate,
        beyond_duration=10.0,
        sweep=SweepSettings(budget=36.0, max_rate=60.0),
    )
    return quick_settings(full) if quick else replace(full)


def row(name: str, summary: Summary) -> dict[str, object]:
    """Predicted and measured of one program."""
    (flow,) = summary.workflows
    return {
        "program": name,
        "machine": summary.machine,
        "seconds": summary.seconds,
        "workflow": msgspec.to_builtins(flow),
    }


async def one(name: str, *, quick: bool) -> dict[str, object]:
    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}: {text}", flush=True)

    listener = PhaseListener(say, lambda *_: None, lambda _: None, lambda _: None)
    report = await run(settings(name, quick=quick), listener)
    return row(name, report.summary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RATES))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rows = [asyncio.run(one(name, quick=options.quick)) for name in options.names]
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
