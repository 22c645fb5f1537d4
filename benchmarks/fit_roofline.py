"""Fits the roofline of every GPU type to the oracle's steps and prints its error on those that the
fit did not see; `--write` replaces `src/scepsy/hardware/gpus.json`.

    out/venv-aic/bin/python benchmarks/fit_roofline.py [--write]

Needs scipy, which comes with the extra `aiconfigurator`. Every second step is held out. One fit per
GPU type over dense LLMs and mixtures at once, on the logarithm of the ratio, robust against the
oracle's outliers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from roofline_error import STEPS, Group, errors, log_ratios, read_groups
from scipy.optimize import least_squares

from scepsy.hardware.gpus import AllReduce, GpuConstants

OUT = Path(__file__).parents[1] / "src" / "scepsy" / "hardware" / "gpus.json"
PROVENANCE = (
    "peaks: data sheets; the rest: benchmarks/fit_roofline.py on steps of aiconfigurator-core "
    "0.12.0 (Apache-2.0; vLLM {version} operators)"
)
# flops, fp8 over bf16, bandwidth, memory, bandwidth of the links to other GPUs in one direction
PEAKS = {
    "a100": (312e12, 1.0, 2.039e12, 80e9, 300e9),
    "b200": (2250e12, 2.0, 7.7e12, 180e9, 900e9),
    "h100": (989e12, 2.0, 3.35e12, 80e9, 450e9),
    "h200": (989e12, 2.0, 4.8e12, 141e9, 450e9),
    "l40s": (362.05e12, 2.0, 0.864e12, 48e9, 32e9),
}
EFFICIENCIES = (
    "weight_efficiency",
    "expert_efficiency",
    "gemm_efficiency",
    "expert_gemm_efficiency",
    "kv_efficiency",
    "attention_efficiency",
)
DEGREES = (2, 4, 8)
# What the fit varies, in the order of its vector: start, least, most. Logits for what lies in
# (0, 1), logarithms for the rest; an all-reduce's bandwidth is a part of its links'.
FREE = [
    *[(1.5, -4.0, 6.0)] * len(EFFICIENCIES),
    (-10.0, -16.0, -6.0),  # layer_overhead
    (-10.5, -16.0, -6.0),  # prefill_overhead
    (0.4, 0.0, 3.0),  # overlap
    (3.0, 0.0, 6.0),  # token_ramp
    (2.0, 0.0, 5.0),  # activation_passes
    (0.5, -4.0, 4.0),  # how much of the fp8 speed-up is had
    *[(-11.5, -18.0, -6.0)] * len(DEGREES),  # latency of an all-reduce
    *[(1.0, -6.0, 6.0)] * len(DEGREES),  # its bandwidth
]


def constants(gpu: str, x: Sequence[float]) -> GpuConstants:
    """What the vector of the fit stands for, at four digits."""
    flops, fp8, bandwidth, memory, link = PEAKS[gpu]
    count, degrees = len(EFFICIENCIES), len(DEGREES)
    layer, prefill, overlap, ramp, passes, faster = x[count : count + 6]
    latencies, bandwidths = x[count + 6 : -degrees], x[-degrees:]
    return GpuConstants(
        flops=flops,
        fp8=_digits(1.0 + (fp8 - 1.0) * _sigmoid(faster)),
        bandwidth=bandwidth,
        memory=memory,
        **{
            name: _digits(_sigmoid(value))
            for name, value in zip(EFFICIENCIES, x[:count], strict=True)
        },
        activation_passes=_digits(math.exp(passes)),
        layer_overhead=_digits(math.exp(layer)),
        prefill_overhead=_digits(math.exp(prefill)),
        overlap=_digits(math.exp(overlap)),
        token_ramp=_digits(math.exp(ramp)),
        all_reduce={
            tp: AllReduce(_digits(math.exp(latency)), _digits(link * _sigmoid(part)))
            for tp, latency, part in zip(DEGREES, latencies, bandwidths, strict=True)
        },
        error={},
        provenance=PROVENANCE.format(version="0.14.0" if gpu == "a100" else "0.24.0"),
    )


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def fit(gpu: str, groups: Sequence[Group]) -> GpuConstants:
    """Least absolute deviations, smoothed."""
    start, low, high = zip(*FREE, strict=True)
    solved = least_squares(
        lambda x: np.concatenate(log_ratios(constants(gpu, x), groups)),
        start,
        bounds=(low, high),
        loss="soft_l1",
        f_scale=0.05,
        diff_step=1e-2,
        max_nfev=200,
    )
    return constants(gpu, solved.x)


def main() -> None:
    """Prints a line per GPU type."""
    fitted: dict[str, GpuConstants] = {}
    for gpu, groups in read_groups(STEPS).items():
        found = fit(gpu, [group.half(0) for group in groups])
        held = errors(found, [group.half(1) for group in groups])
        mean = {name: float(np.mean(values)) for name, values in held.items()}
        p95 = np.quantile(held["dense"], 0.95)
        print(
            f"{gpu}: dense {mean['dense']:.1%} (p95 {p95:.0%}; decode {mean['decode']:.1%}, "
            f"prefill {mean['prefill']:.1%}, mixed {mean['mixed']:.1%}), "
            f"mixture {mean['mixture']:.1%}, {sum(len(g.seconds) for g in groups)} steps"
        )
        if "--detail" in sys.argv:
            print_detail(mean)
        kept = {name: round(mean[name], 4) for name in ("dense", "mixture")}
        fitted[gpu] = replace(found, error=kept)
    if "--write" in sys.argv:
        content = msgspec.json.format(msgspec.json.encode(fitted), indent=2)
        OUT.write_bytes(content + b"\n")


def print_detail(mean: Mapping[str, float]) -> None:
    """The error of each LLM and TP degree."""
    for name, value in mean.items():
        if " TP" in name:
            print(f"    {name}: {value:.1%}")


if __name__ == "__main__":
    main()
