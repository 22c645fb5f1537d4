"""One call told twice, side by side: by a framework's instrumentation and by the SDK's.

OpenInference's LangChain instrumentor does not put its spans into the current context, so the
SDK's span of the same call becomes its sibling instead of its child.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scepsy.convert.span import Span, kind


def twins(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
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
