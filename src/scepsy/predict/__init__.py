"""Predictors: what an allocation would do to the workflows' latency and throughput."""

from scepsy.predict.interval import NINETY_PERCENT
from scepsy.predict.neighbours import sharing
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
    "sharing",
]
