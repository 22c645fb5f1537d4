"""Estimated serving points beside measured ones: errors by group, and a chart.

    python -m experiments.estimated_profiles                    # the roofline
    out/venv-aic/bin/python -m experiments.estimated_profiles   # and the oracle, which it tabulates

Measured: `experiments/data/serving_points.csv`, from aiconfigurator-core 0.12.0 (Apache-2.0), file
`silicon_sample.csv`: aggregated, without pipeline or attention-data parallelism. How their load was
made is not documented there; assumed: a closed loop, 10 calls per client, and lengths uniform in
0.8 to 1.0 of the nominal ones in the public dumps (Llama-3.1-70B, gpt-oss), nominal in the others.
"""

from __future__ import annotations

import csv
import json
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
from experiments.closed_loop import Clients, serve
from experiments.estimated_chart import Panel, chart

from scepsy.core.llm import LlmSpec
from scepsy.estimate.step_times.files import cache_directory, oracle_table
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.host_time import host_time
from scepsy.hardware.memory import kv_capacity

POINTS = Path(__file__).parent / "data" / "serving_points.csv"
OUT = Path(__file__).parents[1] / "docs" / "evaluation"
EXCLUDED = {
    ("llama-3.1-8b-fp8", "h200", "vllm"): "implies prompt rates beyond the GPU's peak: cached?",
    ("qwen3-32b-fp8", "h100", "vllm"): "3 points",
    ("gpt-oss-120b", "h100", "trtllm"): "3 points",
}
PROVIDERS = ("roofline", "aiconfigurator") if find_spec("aiconfigurator_core") else ("roofline",)
ADDS = host_time("vllm")


@dataclass(frozen=True)
class Case:
    """A serving point's setting."""

    llm: str
    gpu: str
    tp: int
    clients: Clients


def main() -> None:
    """Prints a line per group and writes the JSON and the chart."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    with POINTS.open() as file:
        for row in csv.DictReader(file):
            groups[row["llm"], row["gpu"], row["backend"]].append(row)
    results = [
        {"llm": key[0], "gpu": key[1], "backend": key[2], "provider": provider, **found}
        for provider in PROVIDERS
        for key, rows in sorted(groups.items())
        if (found := errors(rows, provider)) is not None
    ]
    for one in results:
        note = EXCLUDED.get((one["llm"], one["gpu"], one["backend"]), "")
        one["excluded"] = note
        print(
            f"{one['provider']:15s}{one['llm']:18s}{one['gpu']:5s}{one['backend']:7s}{one['n']:4d} "
            + "  ".join(f"{what} {one[what]:5.1%} ({one[what + '_bias']:+5.1%})" for what in WHAT)
            + (f"  excluded: {note}" if note else "")
        )
    for provider in PROVIDERS:
        print(f"{provider}: {summary([one for one in results if one['provider'] == provider])}")
    OUT.mkdir(parents=True, exist_ok=True)
    content = {"machine": platform.platform(terse=True), "overheads": ADDS_JSON, "groups": results}
    (OUT / "estimated_profiles.json").write_text(json.dumps(content, indent=1) + "\n")
    (OUT / "estimated_profiles.svg").write_text(chart(panels(groups)))


WHAT = ("ttft", "tpot", "e2e")
ADDS_JSON = {"step": ADDS.step, "request": ADDS.request, "step_tokens": ADDS.step_tokens}


def errors(rows: Sequence[Mapping[str, str]], provider: str) -> dict[str, float] | None:
    """Mean absolute relative error and bias of TTFT, TPOT and whole latency over the rows."""
    found: list[tuple[float, float, float]] = []
    for row in rows:
        served = estimate(case_of(row), provider)
        if served is None:
            continue
        first, each = served
        real_first, real_each = float(row["ttft_ms"]) / 1e3, float(row["tpot_ms"]) / 1e3
        more = int(row["output_tokens"]) * (1 + case_of(row).clients.least) / 2 - 1
        whole = (first + more * each) / (real_first + more * real_each)
        found.append((first / real_first - 1, each / real_each - 1, whole - 1))
    if not found:
        return None
    columns = dict(zip(WHAT, zip(*found, strict=True), strict=True))
    return {
        "n": len(found),
        **{what: round(fmean(map(abs, values)), 4) for what, values in columns.items()},
        **{f"{what}_bias": round(fmean(values), 4) for what, values in columns.items()},
    }


def case_of(row: Mapping[str, str]) -> Case:
    public = "70b" in row["llm"] or "oss" in row["llm"]
    clients = Clients(
        int(row["concurrency"]),
        int(row["prompt_tokens"]),
        int(row["output_tokens"]),
        least=0.8 if public else 1.0,
        rounds=10,
    )
    return Case(row["llm"], row["gpu"], int(row["tp"]), clients)


@cache
def estimate(case: Case, provider: str) -> tuple[float, float] | None:
    """TTFT and TPOT, seconds; None where the LLM does not fit or the provider lacks it."""
    llm = spec_of(case.llm)
    gpu = gpu_constants(case.gpu)
    if provider == "roofline":
        steps = Steps(case.gpu, "modelled")
    else:
        cache_ = cache_directory() / "steps"
        steps = Steps(
            case.gpu, "tabulated", lambda llm, tp: oracle_table(llm, case.gpu, tp, cache_)
        )
    timer = steps.timer(llm, case.tp, 1.0)
    kv = kv_capacity(llm, tp=case.tp, memory_share=0.9, gpu_memory=gpu.memory)
    longest = case.clients.prompt_tokens + case.clients.output_tokens + 16
    if timer is None or kv < longest:
        return None
    first, each = serve(llm, timer, kv, case.clients, step_tokens=ADDS.step_tokens)
    return first + ADDS.request, each


def spec_of(name: str) -> LlmSpec:
    """`engine="vllm"` for its overheads, whichever engine served the point."""
    if name == "llama-3.1-8b-fp8":
        shape = {**shape_called("llama-3.1-8b"), "bytes_per_parameter": 1.0, "fp8": True}
    else:
        shape = shape_called(name)
    llm = LlmSpec(name=name, architecture=name, engine="vllm", **shape)
    # The public dumps of Llama-3.1-70B FP8 keep the KV cache in fp8, too.
    return msgspec.structs.replace(llm, kv_bytes=1.0) if "70b-fp8" in name else llm


def summary(results: Sequence[Mapping[str, Any]]) -> str:
    """Errors of whole latency, weighted by points, excluded groups left out."""
    kinds = {"dense": lambda name: "oss" not in name, "mixtures": lambda name: "oss" in name}
    parts: list[str] = []
    for kind, wanted in kinds.items():
        kept = [one for one in results if wanted(one["llm"]) and not one["excluded"]]
        n = sum(one["n"] for one in kept)
        error = sum(one["e2e"] * one["n"] for one in kept) / n
        parts.append(f"{kind} {error:.1%} of {n} points")
    return ", ".join(parts)


# LLM to estimate, LLM and engine that was measured, prompt and output tokens
SHOWN = (
    ("llama-3.1-8b", "llama-3.1-8b", "trtllm", 2048, 256),
    ("llama-3.1-70b-fp8", "llama-3.1-70b-fp8", "vllm", 1024, 1024),
    ("qwen3-32b", "qwen3-32b", "vllm", 1024, 512),
)
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128)


def panels(groups: Mapping[tuple[str, ...], Sequence[Mapping[str, str]]]) -> list[Panel]:
    """Whole latency against calls per second, H100 above A100, a line per TP degree."""
    found: list[Panel] = []
    for gpu in ("h100", "a100"):
        for llm, measured_llm, engine, prompt, output in SHOWN:
            name = llm if gpu == "h100" else llm.removesuffix("-fp8")  # A100 has no fp8
            least = 0.8 if "70b" in llm else 1.0
            lines: dict[str, list[tuple[float, float]]] = {}
            for provider in PROVIDERS:
                for tp in (1, 2, 4, 8):
                    line = [
                        at(n, served, output * (1 + least) / 2)
                        for n in CONCURRENCIES
                        if (served := estimate(_case(name, gpu, tp, n, prompt, output), provider))
                    ]
                    if line:
                        lines[f"{provider} TP{tp}"] = line
            marks = {
                f"TP{tp}": [
                    at(
                        int(row["concurrency"]),
                        (float(row["ttft_ms"]) / 1e3, float(row["tpot_ms"]) / 1e3),
                        output * (1 + least) / 2,
                    )
                    for row in groups.get((measured_llm, gpu, engine), ())
                    if (int(row["prompt_tokens"]), int(row["output_tokens"])) == (prompt, output)
                    and int(row["tp"]) == tp
                ]
                for tp in (1, 2, 4, 8)
            }
            title = f"{name} on {gpu.upper()}, {prompt}/{output} tokens"
            found.append(Panel(title, lines, marks, engine if any(marks.values()) else ""))
    return found


def _case(llm: str, gpu: str, tp: int, n: int, prompt: int, output: int) -> Case:
    least = 0.8 if "70b" in llm else 1.0
    return Case(llm, gpu, tp, Clients(n, prompt, output, least=least, rounds=10))


def at(clients: int, served: tuple[float, float], output: float) -> tuple[float, float]:
    """(calls per second, seconds of a call): Little's law in a closed loop."""
    seconds = served[0] + (output - 1) * served[1]
    return clients / seconds, seconds


if __name__ == "__main__":
    main()
