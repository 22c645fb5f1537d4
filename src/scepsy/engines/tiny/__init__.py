"""Tiny random LLMs, made on the spot: nonsense, through every code path of a real engine."""

from scepsy.engines.tiny.folder import write_tiny_folder

__all__ = ["write_tiny_folder"]
