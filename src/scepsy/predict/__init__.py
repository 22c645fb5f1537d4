"""Predictors: what an allocation would do to the workflows' latency and throughput."""

from scepsy.predict.pipeline import Pipeline
from scepsy.predict.response import Response, responses

__all__ = ["Pipeline", "Response", "responses"]
