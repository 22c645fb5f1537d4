"""Exact search for the allocation of least cost: branch and bound over each LLM's options."""

from scepsy.search.exact import Candidate, Search, search
from scepsy.search.options import StageCosts
from scepsy.search.placeable import Choice, Skipped, best_placeable
from scepsy.search.space import floors

__all__ = [
    "Candidate",
    "Choice",
    "Search",
    "Skipped",
    "StageCosts",
    "best_placeable",
    "floors",
    "search",
]
