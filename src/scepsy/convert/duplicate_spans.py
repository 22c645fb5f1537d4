"""Duplicate spans: one call recorded by several spans, around each other or side by side.

A framework and an SDK, or a gateway and a client, record the same call. The innermost span counts,
and takes over what only the outer ones know. OpenInference's LangChain instrumentor does not put
its spans into the current context, so the SDK's span of the same call becomes its sibling.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scepsy.convert.span import LlmRequest, Span, endpoint_group

_LENT = ("llm", "prompt_tokens", "cached_tokens", "output_tokens", "max_tokens", "first_token")


def distinct_calls(spans: Sequence[Span]) -> list[Span]:
    """The LLM spans of one run, each call once."""
    own = innermost(spans)
    pairs = tuple(duplicate_pairs(own))
    outer_ids, lenders = {outer.id for outer, _ in pairs}, {one.id: outer for outer, one in pairs}
    return [_lent(span, lenders.get(span.id)) for span in own if span.id not in outer_ids]


def innermost(spans: Sequence[Span]) -> list[Span]:
    """The LLM spans that contain no other LLM span of their group of endpoints, completed by the
    token counts that only their wrapper has. A span with weak evidence counts only if no LLM span
    is around or inside it.
    """
    by_id = {span.id: span for span in spans}
    inside: defaultdict[str, list[str]] = defaultdict(list)
    requests = {span.id: span.request for span in spans if span.request is not None}
    for one in [one for one in requests if requests[one].weak]:
        if any(up in requests and not requests[up].weak for up in _ancestors(by_id[one], by_id)):
            del requests[one]
    for one in requests:
        for outer in _ancestors(by_id[one], by_id):
            if outer in requests and (
                requests[outer].weak
                or endpoint_group(requests[outer]) == endpoint_group(requests[one])
            ):
                inside[outer].append(one)
    leaves = [one for one in requests if one not in inside]
    for outer, inner in inside.items():
        only = [one for one in inner if one not in inside]
        if len(only) == 1:
            requests[only[0]] = _completed(requests[only[0]], requests[outer])
    return [replace(by_id[one], request=requests[one]) for one in leaves]


def duplicate_pairs(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Pairs of sibling LLM spans (outer, inner) that record the same call: same parent, LLM and
    group of endpoints, different instrumentations, the inner within the time of the outer, and no
    contradicting token counts. No span is in two pairs.
    """
    latest = sorted(spans, key=lambda span: (-span.start, (span.end or span.start) - span.start))
    free = {span.id: span for span in latest}
    for inner in latest:
        outer = next((one for one in free.values() if _same_call(one, inner)), None)
        if inner.id in free and outer is not None:
            del free[outer.id], free[inner.id]
            yield outer, inner


def _ancestors(span: Span, by_id: dict[str, Span]) -> Iterator[str]:
    passed = {span.id}
    parent = span.parent
    while parent is not None and parent in by_id and parent not in passed:
        yield parent
        passed.add(parent)
        parent = by_id[parent].parent


def _same_call(outer: Span, inner: Span) -> bool:
    one, other = outer.request, inner.request
    if one is None or other is None or outer.end is None or inner.end is None:
        return False
    counts = ((one.prompt_tokens, other.prompt_tokens), (one.output_tokens, other.output_tokens))
    return (
        None not in (outer.instrumentation, inner.instrumentation)
        and outer.instrumentation != inner.instrumentation
        and outer.parent == inner.parent
        and (one.llm, endpoint_group(one)) == (other.llm, endpoint_group(other))
        and outer.start <= inner.start <= inner.end <= outer.end
        and all(a == b or None in (a, b) for a, b in counts)
    )


def _lent(span: Span, outer: Span | None) -> Span:
    if span.request is None or outer is None or outer.request is None:
        return span
    return replace(span, request=_completed(span.request, outer.request))


def _completed(inner: LlmRequest, outer: LlmRequest) -> LlmRequest:
    known = {name: getattr(outer, name) for name in _LENT if getattr(inner, name) is None}
    return replace(inner, **known)
