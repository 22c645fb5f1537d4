"""Fits DIR/raw.jsonl, prints the error of each fit, and writes docs/gpu/<gpu>-<date>.json.

Errors stand beside those of the constants that Scepsy ships. Format: the guide "Measure a GPU".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.gpu.fit_pairs import co_location, pair_error
from benchmarks.gpu.fit_shares import fit_bandwidth, fit_stretch, share_errors
from benchmarks.gpu.fit_steps import MeasuredStep, fit_constants, step_errors, worst
from benchmarks.gpu.jobs import CPU
from benchmarks.gpu.raw import Records, load, pair_rates, share_ratios, whole_gpu_steps

from scepsy.hardware.gpus import GpuConstants, bandwidth_kept, compute_stretch, gpu_constants, gpus

TRIAL = replace(gpu_constants("a100"), flops=1e11, bandwidth=2e10)
"""Peaks of a CPU, roughly, on which only the scripts are tried."""


def main() -> None:
    arguments = _arguments()
    path: Path = arguments.dir / "raw.jsonl"
    records = load(path)
    machine = next(each for each in reversed(records) if each["record"] == "machine")
    trial = machine["device"] == "cpu"
    gpu_type = "cpu" if trial else arguments.gpu_type or gpu_type_of(machine["name"])
    shipped = TRIAL if trial else gpu_constants(gpu_type)
    found = fit(records, shipped, CPU.scale if trial else 1)
    for engine, part in found["steps"].items():
        part["constants"]["provenance"] = f"{engine} on {machine['name']}, {date.today()}"
    name = re.sub(r"[^a-z0-9]+", "-", machine["name"].lower()).strip("-")
    folder = arguments.dir if trial else Path("docs/gpu")
    out: Path = arguments.out or folder / f"{name}-{date.today():%Y-%m-%d}.json"
    document = {
        "gpu_type": gpu_type,
        "machine": machine,
        "raw_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **found,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"wrote {out}")


def fit(records: Records, shipped: GpuConstants, scale: int = 1) -> dict[str, Any]:
    """The document's part that is fitted. Each part that was not measured is left out."""
    steps = {engine: whole_gpu_steps(records, engine) for engine in ("vllm", "torch")}
    found: dict[str, Any] = {
        "steps": {
            engine: _fit_steps(engine, measured, shipped)
            for engine, measured in steps.items()
            if len(measured) >= 20
        }
    }
    torch = found["steps"].get("torch")
    overheads = torch["constants"] if torch else asdict(shipped)
    ratios = list(
        share_ratios(records, overheads["layer_overhead"], overheads["prefill_overhead"], scale)
    )
    if any(each.share < 1 for each in ratios):
        a, b = fit_stretch(ratios)
        kept = fit_bandwidth(ratios)
        shares, values = np.array(kept).T
        before = share_errors(ratios, compute_stretch, bandwidth_kept)
        after = share_errors(
            ratios, lambda f: a + b / f, lambda f: float(np.interp(f, shares, values))
        )
        found["shares"] = {
            "compute_stretch": {"a": round(a, 4), "b": round(b, 4)},
            "bandwidth_kept": kept,
            "error_before": before,
            "error_after": after,
        }
        print(f"shares: stretch {a:.3f} + {b:.3f} / share; bandwidth kept {kept}")
        for bound, error in before.items():
            print(f"  {bound}-bound: error {error:.1%} shipped, {after[bound]:.1%} fitted")
    if rows := co_location(pair_rates(records), shipped.bandwidth):
        found["co_location"] = {"rows": rows, "error_before": pair_error(rows)}
        for row in rows:
            print(
                f"{row['kind']} on {row['share']:.2f} beside {row['neighbour']} on"
                f" {row['neighbour_share']:.2f} keeps {row['kept']:.0%} of its rate alone"
                f" (shipped model: {row['kept_shipped']:.0%})"
            )
    return found


def _fit_steps(engine: str, steps: list[MeasuredStep], shipped: GpuConstants) -> dict[str, Any]:
    """Errors are those of a half that a fit to the other half has not seen; the constants are then
    fitted to all.
    """
    order = np.random.default_rng(0).permutation(len(steps))
    seen, held = ([steps[i] for i in order[part::2]] for part in (0, 1))
    tried, constants = fit_constants(seen, shipped), fit_constants(steps, shipped)
    before, after = step_errors(held, shipped), step_errors(held, tried)
    print(f"{engine}: {len(steps)} steps, error on the half that was held out")
    for group, error in before.items():
        print(f"  {group:8} {error:7.1%} shipped   {after[group]:7.1%} fitted")
    print(f"  worst: {worst(held, tried)}")
    known = {**shipped.error, "dense": round(after["mean"], 4)}
    return {
        "constants": asdict(replace(constants, error=known)),
        "error_before": before,
        "error_after": after,
    }


def gpu_type_of(name: str) -> str:
    """The shortest known type in a marketing name, such as "NVIDIA H100 80GB HBM3"."""
    for known in gpus():
        if re.search(rf"\b{known}", name.lower()):
            return known
    raise SystemExit(
        f"no peaks are known for {name!r} (known: {', '.join(tuple(gpus()))}): add them to"
        " scepsy.hardware.gpus, or name the nearest type with --gpu-type"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.fit", description=__doc__)
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--gpu-type", choices=tuple(gpus()), help="whose peaks to take")
    parser.add_argument("--out", type=Path, help="the file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
