"""Impossible values of spans: taken as unknown, and noted."""

from __future__ import annotations

from dataclasses import replace

from scepsy.convert.findings import Findings
from scepsy.convert.span import GENERATES, LlmRequest, Span

_CLOCK_SLACK = 1e-6
"""Seconds by which a first token may lie outside its call because times were rounded."""
ZERO_PROMPT = "zero prompt tokens, which is impossible: taken as unknown"
ZERO_OUTPUT = "zero output tokens of a call that succeeded: taken as unknown"


def plausible(span: Span, findings: Findings) -> Span:
    """The span without impossible values: an end before its start, zero tokens of a call."""
    if span.end is not None and span.end < span.start:
        microseconds = max(1, round((span.start - span.end) * 1e6))
        reason = "ends before it starts: counted without duration"
        findings.doubt(reason, f"{span.where} (by {microseconds} microseconds)")
        span = replace(span, end=span.start)
    if span.request is None or span.own:  # our own export is a record of what happened
        return span
    return replace(
        span, request=_first_token(span, _counts(span, span.request, findings), findings)
    )


def _counts(span: Span, request: LlmRequest, findings: Findings) -> LlmRequest:
    if request.prompt_tokens == 0:
        findings.doubt(ZERO_PROMPT, span.where)
        request = replace(request, prompt_tokens=None, cached_tokens=request.cached_tokens or None)
    generated = request.endpoint in GENERATES and span.error is None and request.max_tokens != 0
    if request.output_tokens == 0 and generated:
        findings.doubt(ZERO_OUTPUT, span.where)
        request = replace(request, output_tokens=None)
    cached, prompt = request.cached_tokens, request.prompt_tokens
    if cached is not None and prompt is not None and cached > prompt:
        findings.doubt("more cached tokens than prompt tokens: added to them", span.where)
        request = replace(request, prompt_tokens=prompt + cached)
    return request


def _first_token(span: Span, request: LlmRequest, findings: Findings) -> LlmRequest:
    first = request.first_token
    if first is None or span.end is None or span.end == span.start:
        return request
    if span.start - _CLOCK_SLACK <= first <= span.end + _CLOCK_SLACK:
        return request
    findings.doubt("the first token came outside of the call: its time is unknown", span.where)
    return replace(request, first_token=None)
