"""Token counts as vendors write them: the keys of an object of usage."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.convert.foreign_record import ForeignRecord, known

_PROMPT = (
    "prompt_tokens",  # OpenAI, LiteLLM, LangSmith
    "promptTokens",  # Langfuse before v3, AI SDK v4
    "input_tokens",  # OpenAI responses, Anthropic, LangChain
    "inputTokens",  # AI SDK v5, Bedrock
    "prompt_token_count",  # Gemini
    "promptTokenCount",
    "input_token_count",
    "inputTokenCount",
    "prompt_eval_count",  # Ollama
    "tokens_prompt",  # OpenRouter
    "prompt",
)
_OUTPUT = (
    "completion_tokens",
    "completionTokens",
    "output_tokens",
    "outputTokens",
    "candidates_token_count",  # Gemini
    "candidatesTokenCount",
    "output_token_count",
    "outputTokenCount",
    "generated_token_count",
    "eval_count",  # Ollama
    "tokens_completion",  # OpenRouter
    "completion",
)
_CACHED = (
    "cached_tokens",
    "cachedTokens",
    "input_cached_tokens",
    "cached_input_tokens",
    "cachedInputTokens",
    "input_cache_read",
    "input_cached",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "prompt_cached_tokens",
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_content_token_count",  # Gemini
    "cachedContentTokenCount",
    "cache_read",
    "cacheReadTokens",
)
_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "prompt_token_details",
    "promptTokensDetails",
    "inputTokensDetails",
    "inputTokenDetails",
)
_CACHED_WITH_DOTS = tuple(f"{outer}.{inner}" for outer in _DETAILS for inner in _CACHED)
"""Programs that keep flat counts only spread the details so."""
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")
"""Gemini's reasoning, which it generates beside its candidates."""
_BESIDE = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheCreationInputTokens",
)
"""Anthropic's and Bedrock's counts, which stand beside their input tokens, not inside them."""
_UNITS = frozenset(("", "tokens", "token"))


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call; None is unknown. What was cached is part of the prompt."""

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None

    @property
    def known(self) -> bool:
        return bool(self.prompt or self.output)


def usage_of(record: ForeignRecord) -> TokenUsage:
    """What an object of usage says, in whichever vendor's keys."""
    unit = record.fields.get("unit")
    if isinstance(unit, str) and unit.lower() not in _UNITS:
        record.findings.doubt("usage is in another unit than tokens", f"{record.place} has {unit}")
        return TokenUsage()
    details = record.part(*_DETAILS)
    return TokenUsage(
        prompt=_prompt(record),
        cached=known(
            record.count(*_CACHED), details.count(*_CACHED), record.count(*_CACHED_WITH_DOTS)
        ),
        output=_output(record),
    )


def _output(record: ForeignRecord) -> int | None:
    whole = known(_total(record, "output"), record.count(*_OUTPUT))
    thoughts = record.count(*_THOUGHTS)
    return whole if whole is None or thoughts is None else whole + thoughts


def _prompt(record: ForeignRecord) -> int | None:
    """Langfuse splits the prompt into counts whose names begin with "input";
    others give the whole prompt, except Anthropic, whose cached tokens are counted separately.
    """
    if "input" in record.fields:
        return known(_total(record, "input", *_BESIDE), record.count(*_PROMPT))
    whole = record.count(*_PROMPT)
    named = record.count("prompt_tokens", "promptTokens")
    inside = record.has("input_token_details") or record.has("inputTokenDetails")
    if whole is None or named or inside:  # LangChain and LiteLLM have added them already
        return whole
    return whole + sum(record.count(name) or 0 for name in _BESIDE)


def _total(record: ForeignRecord, head: str, *besides: str) -> int | None:
    """The sum of Langfuse's own counts: those named `head` and `head_...`."""
    if head not in record.fields:
        return None
    names = [
        name
        for name in record.fields
        if (name == head or name.startswith(f"{head}_") or name in besides)
        and isinstance(record.fields[name], int | float | str)
        and not name.endswith(("_cost", "Cost", "_details"))
    ]
    counts = [count for name in names if (count := record.count(name)) is not None]
    return sum(counts) if counts else None
