"""Makes tiny random LLMs for tests: they write nonsense, on every code path of a real engine."""

from scepsy.engines.tiny.folder import write_tiny_folder

__all__ = ["write_tiny_folder"]
