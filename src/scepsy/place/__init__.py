"""Placement: the GPUs on which every replica of an allocation runs (bin packing)."""

from scepsy.place.placement import place

__all__ = ["place"]
