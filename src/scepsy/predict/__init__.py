"""Predictors: what an allocation would do to the workflows' latency and throughput."""

from scepsy.predict.pipeline import NINETY_PERCENT, Pipeline
from scepsy.predict.replay import Recorded, Replay, recordings
from scepsy.predict.response import Response, responses
from scepsy.predict.sharing import sharing

__all__ = [
    "NINETY_PERCENT",
    "Pipeline",
    "Recorded",
    "Replay",
    "Response",
    "recordings",
    "responses",
    "sharing",
]
