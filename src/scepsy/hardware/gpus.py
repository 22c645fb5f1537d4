"""What a GPU can do, as fitted to measured kernels, and what a part of it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import msgspec

from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class AllReduce:
    """One all-reduce among GPUs of a node: `latency` in seconds and `bandwidth` in bytes/s, with
    2 (n - 1) / n of the message to be sent by each of n GPUs.
    """

    latency: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class GpuConstants:
    """Peaks of one GPU type, and the fractions of them that inference reaches.

    The efficiencies are effective values of a fit to measured operator times, not hardware claims:
    `benchmarks/fit_roofline.py` makes them. None is above 1, so no step beats the peaks.

    Attributes:
        flops: peak dense bf16 FLOP/s.
        fp8: effective speed-up of fp8 matrix products; at most 2, and 1 on GPUs without fp8.
        bandwidth: peak memory bandwidth in bytes/s.
        memory: bytes.
        weight_efficiency, expert_efficiency, gemm_efficiency, expert_gemm_efficiency,
            kv_efficiency, attention_efficiency: fractions of those peaks.
        activation_passes: how often a token's hidden state crosses memory in a layer, beside matrix
            products and attention.
        layer_overhead: seconds per transformer layer and step that nothing hides.
        prefill_overhead: additional seconds per layer in a step that computes prompts, where no
            CUDA graph hides them.
        overlap: exponent q of the p-norm that joins memory and compute time; 1 means no overlap,
            infinity perfect overlap.
        token_ramp: tokens in a step at which matrix products reach half of their efficiency.
        all_reduce: constants by tensor-parallel degree.
        error: mean absolute relative error against the oracle on steps that the fit did not see, by
            kind of LLM ("dense", "mixture").
        provenance: the measurements to which it was fitted.
    """

    flops: float
    fp8: float
    bandwidth: float
    memory: float
    weight_efficiency: float
    expert_efficiency: float
    gemm_efficiency: float
    expert_gemm_efficiency: float
    kv_efficiency: float
    attention_efficiency: float
    activation_passes: float
    layer_overhead: float
    prefill_overhead: float
    overlap: float
    token_ramp: float
    all_reduce: Mapping[int, AllReduce]
    error: Mapping[str, float]
    provenance: str

    def all_reduce_among(self, gpus: int) -> AllReduce:
        """Constants of the largest fitted group that is not larger than `gpus`; no cost for one
        GPU.
        """
        fitted = [size for size in self.all_reduce if size <= gpus]
        return self.all_reduce[max(fitted)] if fitted else AllReduce(0.0, float("inf"))


@cache
def gpus() -> Mapping[str, GpuConstants]:
    """Every GPU type that we know, by name."""
    content = files("scepsy.hardware").joinpath("gpus.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, GpuConstants])


def known_gpu(gpu_type: str) -> GpuConstants | None:
    """The constants of a GPU type, None for one that we do not know."""
    return gpus().get(gpu_type)


def gpu_constants(gpu_type: str) -> GpuConstants:
    """The constants of a GPU type that we know. Raises BadInput for another."""
    try:
        return gpus()[gpu_type]
    except KeyError:
        raise BadInput(
            f"GPU type {gpu_type!r} has no timing constants; known are {', '.join(sorted(gpus()))}"
        ) from None


LEAST_MEASURED_SHARE = 0.3
_BANDWIDTH_KEPT = ((0.0, 0.0), (0.3, 0.73), (0.4, 0.83), (0.5, 0.92), (0.7, 0.97), (1.0, 1.0))


def bandwidth_kept(gpu_share: float) -> float:
    """The fraction of memory bandwidth that decoding keeps on a share of the multiprocessors (MPS).

    Medians of MuxServe's measurements on A100, joined by straight lines. Below a share of 0.3,
    where there are no measurements, a straight line to zero.
    """
    for (left, low), (right, high) in pairwise(_BANDWIDTH_KEPT):
        if gpu_share <= right:
            return low + (high - low) * (gpu_share - left) / (right - left)
    return 1.0


def compute_stretch(gpu_share: float) -> float:
    """How much longer compute-bound work takes on a share of the multiprocessors: 0.37 + 0.63 /
    share.

    Fit to the same measurements (prefills of at least 2,048 tokens), 2.2% mean error.
    """
    return 0.37 + 0.63 / gpu_share
