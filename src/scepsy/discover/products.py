"""The GPU type, as clusters name it, of a product name (pure)."""

from __future__ import annotations

import re

from scepsy.hardware.gpus import gpus

_MAKERS = ("nvidia", "tesla", "geforce", "quadro")
_SIZE = re.compile(r"\d+gi?b|hbm\d\w*")
_NARROWER = ("pcie", "nvl", "40gb")
"""Words of variants that have less memory bandwidth than what the constants were fitted to."""
PCIE_ONLY = ("l40s",)
"""Types without NVLink. The constants of their all-reduces are those of PCIe."""


def gpu_type_of(product: str) -> str:
    """ "h100" for "NVIDIA H100 80GB HBM3" and for "NVIDIA-H100-80GB-HBM3"; for a GPU without timing
    constants its words, as in "rtx-a5000".
    """
    words = _words(product)
    known = [word for word in words if word in gpus()]
    if known:
        return known[0]
    return "-".join(word for word in words if word not in _MAKERS and not _SIZE.fullmatch(word))


def type_note(product: str) -> str | None:
    """What should be known about times that are estimated for this product; None for nothing."""
    gpu_type = gpu_type_of(product)
    if gpu_type not in gpus():
        return (
            f"There are no timing constants for {product}, so its curves cannot be estimated: "
            "measure them with `scepsy profile`."
        )
    if any(word in _NARROWER for word in _words(product)):
        return (
            f"The timing constants of {gpu_type} are those of its fastest variant, and {product} "
            "is slower: measure its curves with `scepsy profile`."
        )
    return None


def _words(product: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", product.lower()) if word]
