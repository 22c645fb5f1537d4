"""A plan as another system's configuration, with what got lost (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What is written for another system.

    Attributes:
        target: the system, in words.
        plan: the plan's id.
        objects: all objects, in the order in which to apply them.
        lost: what of the plan the objects do not express, in sentences.
        needs: what the system must have or be set to, in sentences.
        files: by a short name, the objects of each file.
    """

    target: str
    plan: str
    objects: tuple[Any, ...]
    lost: tuple[str, ...]
    needs: tuple[str, ...]
    files: Mapping[str, tuple[Any, ...]]

    @property
    def comment(self) -> tuple[str, ...]:
        """Sentences for the head of each file."""
        lost = [f"- {sentence}" for sentence in self.lost] or ["- None."]
        needs = [f"- {sentence}" for sentence in self.needs] or ["- Nothing more."]
        return (
            f"Plan {self.plan} for {self.target}. Made by `scepsy render`; do not edit.",
            "These parts of the plan are not expressed by the objects:",
            *lost,
            "The objects need:",
            *needs,
        )

    def as_json(self) -> dict[str, Any]:
        return {"lost": self.lost, "needs": self.needs, "objects": self.objects}


@dataclass(frozen=True, slots=True)
class NotTranslated:
    """Why a system cannot carry a plan at all: sentences with names."""

    reasons: tuple[str, ...]
