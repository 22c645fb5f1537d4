"""One call told by several spans: around each other, or side by side.

A framework and an SDK, or a gateway and a client, tell the same call: the innermost span counts,
and borrows what only the outer ones know. OpenInference's LangChain instrumentor does not put its
spans into the current context, so the SDK's span of the same call becomes its sibling.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scepsy.convert.span import LlmRequest, Span, kind

_LENT = ("llm", "prompt_tokens", "cached_tokens", "output_tokens", "max_tokens", "first_token")


def distinct_calls(spans: Sequence[Span]) -> list[Span]:
    """The LLM spans of one run, each call once."""
    own = innermost(spans)
    pairs = tuple(duplicate_pairs(own))
    outer_ids, lenders = {outer.id for outer, _ in pairs}, {one.id: outer for outer, one in pairs}
    return [_lent(span, lenders.get(span.id)) for span in own if span.id not in outer_ids]


def innermost(spans: Sequence[Span]) -> list[Span]:
    """The LLM spans that contain no other of their kind, with the token counts that only their
    wrapper knows. A weak one is no call of its own where any other is around it or inside it.
    """
    by_id = {span.id: span for span in spans}
    inside: defaultdict[str, list[str]] = defaultdict(list)
    asked = {span.id: span.asked for span in spans if span.asked is not None}
    for one in [one for one in asked if asked[one].weak]:
        if any(up in asked and not asked[up].weak for up in _ancestors(by_id[one], by_id)):
            del asked[one]
    for one in asked:
        for outer in _ancestors(by_id[one], by_id):
            if outer in asked and (asked[outer].weak or kind(asked[outer]) == kind(asked[one])):
                inside[outer].append(one)
    leaves = [one for one in asked if one not in inside]
    for outer, inner in inside.items():
        only = [one for one in inner if one not in inside]
        if len(only) == 1:
            asked[only[0]] = _completed(asked[only[0]], asked[outer])
    return [replace(by_id[one], asked=asked[one]) for one in leaves]


def duplicate_pairs(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """LLM spans, each with the one beside it that tells of the same call: the same parent, LLM and
    kind, told by another instrumentation, within its time, and no other count of tokens. No span is
    in two pairs.
    """
    latest = sorted(spans, key=lambda span: (-span.start, (span.end or span.start) - span.start))
    free = {span.id: span for span in latest}
    for inner in latest:
        outer = next((one for one in free.values() if _tells_the_same(one, inner)), None)
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


def _tells_the_same(outer: Span, inner: Span) -> bool:
    one, other = outer.asked, inner.asked
    if one is None or other is None or outer.end is None or inner.end is None:
        return False
    counts = ((one.prompt_tokens, other.prompt_tokens), (one.output_tokens, other.output_tokens))
    return (
        None not in (outer.teller, inner.teller)
        and outer.teller != inner.teller
        and outer.parent == inner.parent
        and (one.llm, kind(one)) == (other.llm, kind(other))
        and outer.start <= inner.start <= inner.end <= outer.end
        and all(a == b or None in (a, b) for a, b in counts)
    )


def _lent(span: Span, outer: Span | None) -> Span:
    if span.asked is None or outer is None or outer.asked is None:
        return span
    return replace(span, asked=_completed(span.asked, outer.asked))


def _completed(inner: LlmRequest, outer: LlmRequest) -> LlmRequest:
    known = {name: getattr(outer, name) for name in _LENT if getattr(inner, name) is None}
    return replace(inner, **known)
