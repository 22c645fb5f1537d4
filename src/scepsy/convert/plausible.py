"""What a span says that cannot be: taken as unknown, and noted."""

from __future__ import annotations

from dataclasses import replace

from scepsy.convert.findings import Findings
from scepsy.convert.span import GENERATES, LlmRequest, Span

_CLOCK_SLACK = 1e-6
"""Seconds by which a first token may lie outside its call: rounding, no fault."""
ZERO_PROMPT = "zero prompt tokens, which no call has: taken as unknown"
ZERO_OUTPUT = "zero output tokens of a call that succeeded: taken as unknown"


def plausible(span: Span, findings: Findings) -> Span:
    """The span without what cannot be: an end before its start, zero tokens of a call."""
    if span.end is not None and span.end < span.start:
        microseconds = max(1, round((span.start - span.end) * 1e6))
        reason = "ends before it starts: counted without duration"
        findings.doubt(reason, f"{span.where} (by {microseconds} microseconds)")
        span = replace(span, end=span.start)
    if span.asked is None or span.own:  # our own export says what was recorded
        return span
    return replace(span, asked=_first_token(span, _counts(span, span.asked, findings), findings))


def _counts(span: Span, asked: LlmRequest, findings: Findings) -> LlmRequest:
    if asked.prompt_tokens == 0:
        findings.doubt(ZERO_PROMPT, span.where)
        asked = replace(asked, prompt_tokens=None, cached_tokens=asked.cached_tokens or None)
    generated = asked.endpoint in GENERATES and span.error is None and asked.max_tokens != 0
    if asked.output_tokens == 0 and generated:
        findings.doubt(ZERO_OUTPUT, span.where)
        asked = replace(asked, output_tokens=None)
    cached, prompt = asked.cached_tokens, asked.prompt_tokens
    if cached is not None and prompt is not None and cached > prompt:
        findings.doubt("more cached tokens than prompt tokens: added to them", span.where)
        asked = replace(asked, prompt_tokens=prompt + cached)
    return asked


def _first_token(span: Span, asked: LlmRequest, findings: Findings) -> LlmRequest:
    first = asked.first_token
    if first is None or span.end is None or span.end == span.start:
        return asked
    if span.start - _CLOCK_SLACK <= first <= span.end + _CLOCK_SLACK:
        return asked
    findings.doubt("the first token came outside of the call: its time is unknown", span.where)
    return replace(asked, first_token=None)
