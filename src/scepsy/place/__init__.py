"""Where every replica of an allocation runs."""

from scepsy.place.placement import place

__all__ = ["place"]
