"""The version that an emulated engine reports: Scepsy's own."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("scepsy")
