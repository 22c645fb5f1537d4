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
    def told(self) -> bool:
        return bool(self.prompt or self.output)


def usage_of(told: ForeignRecord) -> TokenUsage:
    """What an object of usage says, in whichever vendor's keys."""
    unit = told.fields.get("unit")
    if isinstance(unit, str) and unit.lower() not in _UNITS:
        told.findings.doubt("usage is in another unit than tokens", f"{told.place} has {unit}")
        return TokenUsage()
    details = told.part(*_DETAILS)
    return TokenUsage(
        prompt=_prompt(told),
        cached=known(told.count(*_CACHED), details.count(*_CACHED), told.count(*_CACHED_WITH_DOTS)),
        output=_output(told),
    )


def _output(told: ForeignRecord) -> int | None:
    whole = known(_total(told, "output"), told.count(*_OUTPUT))
    thoughts = told.count(*_THOUGHTS)
    return whole if whole is None or thoughts is None else whole + thoughts


def _prompt(told: ForeignRecord) -> int | None:
    """Langfuse splits what it knows of the prompt into counts whose names begin with "input";
    others tell the whole, but for Anthropic's, whose cached tokens stand beside it.
    """
    if "input" in told.fields:
        return known(_total(told, "input", *_BESIDE), told.count(*_PROMPT))
    whole = told.count(*_PROMPT)
    named = told.count("prompt_tokens", "promptTokens")
    inside = told.has("input_token_details") or told.has("inputTokenDetails")
    if whole is None or named or inside:  # LangChain and LiteLLM add up before they tell
        return whole
    return whole + sum(told.count(name) or 0 for name in _BESIDE)


def _total(told: ForeignRecord, head: str, *besides: str) -> int | None:
    """The sum of Langfuse's own counts: those named `head` and `head_...`."""
    if head not in told.fields:
        return None
    names = [
        name
        for name in told.fields
        if (name == head or name.startswith(f"{head}_") or name in besides)
        and isinstance(told.fields[name], int | float | str)
        and not name.endswith(("_cost", "Cost", "_details"))
    ]
    counts = [count for name in names if (count := told.count(name)) is not None]
    return sum(counts) if counts else None
