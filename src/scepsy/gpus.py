"""What a GPU can do, as fitted to measured kernels, and what a part of it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class GpuConstants:
    """Peaks of one GPU type, and how much of them inference reaches.

    The efficiencies are effective values of a fit to measured operator times (dense LLMs of 8B to
    70B, TP 1 to 8, 5 to 7% mean error on held-out steps), not hardware claims.

    Attributes:
        flops: peak dense bf16 FLOP/s. bandwidth: peak memory bytes/s.
        weight_efficiency, gemm_efficiency, kv_efficiency, attention_efficiency: parts of those
            peaks.
        layer_overhead: seconds per transformer layer and step that nothing hides.
        all_reduce_bandwidth: bytes/s of an all-reduce inside an NVLink domain.
        overlap: exponent q of the p-norm that joins memory and compute time; 1 is no overlap,
            infinity is a perfect one.
        token_ramp: tokens in a step at which matrix products reach half of their efficiency.
    """

    flops: float
    bandwidth: float
    weight_efficiency: float
    gemm_efficiency: float
    kv_efficiency: float
    attention_efficiency: float
    layer_overhead: float
    all_reduce_bandwidth: float
    overlap: float
    token_ramp: float


_GPUS = {
    "h100": GpuConstants(989e12, 3.35e12, 0.98, 0.79, 0.94, 0.47, 60e-6, 219e9, 1.5, 27),
    "h200": GpuConstants(989e12, 4.8e12, 0.93, 0.77, 0.92, 0.52, 53e-6, 241e9, 1.5, 10),
    "a100": GpuConstants(312e12, 2.039e12, 0.80, 0.86, 0.75, 0.52, 74e-6, 97e9, 1.3, 0),
}

GPU_TYPES = tuple(sorted(_GPUS))


def known_gpu(gpu_type: str) -> GpuConstants | None:
    """The constants of a GPU type, None for one that we do not know."""
    return _GPUS.get(gpu_type)


def gpu_constants(gpu_type: str) -> GpuConstants:
    """The constants of a GPU type that we know. Raises BadInput for another."""
    try:
        return _GPUS[gpu_type]
    except KeyError:
        raise BadInput(
            f"GPU type {gpu_type!r} has no timing constants; known are {', '.join(GPU_TYPES)}"
        ) from None


_BANDWIDTH_KEPT = ((0.0, 0.0), (0.3, 0.73), (0.4, 0.83), (0.5, 0.92), (0.7, 0.97), (1.0, 1.0))


def bandwidth_kept(gpu_share: float) -> float:
    """The part of memory bandwidth that decoding keeps on a share of the multiprocessors (MPS).

    Medians of MuxServe's measurements on A100; straight lines between them, and down to zero below
    0.3, where nobody has measured.
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
