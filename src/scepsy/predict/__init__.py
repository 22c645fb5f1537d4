"""Predictors of the latency and throughput of workflows under an allocation."""

from scepsy.predict.interval import NINETY_PERCENT
from scepsy.predict.neighbours import slowdown_by_llm
from scepsy.predict.pipeline import Pipeline
from scepsy.predict.replay import Recorded, ReplayPredictor, recordings
from scepsy.predict.response import Response, responses

__all__ = [
    "NINETY_PERCENT",
    "Pipeline",
    "Recorded",
    "ReplayPredictor",
    "Response",
    "recordings",
    "responses",
    "slowdown_by_llm",
]
