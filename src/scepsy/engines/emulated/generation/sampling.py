"""The sampling parameters of a request, and what the emulated LLM makes of them (pure)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from scepsy.engines.emulated.generation.schema import BadSchema, Schema, check_schema
from scepsy.engines.emulated.generation.tools import Tools
from scepsy.engines.emulated.wire.bodies import MALFORMED
from scepsy.engines.emulated.wire.errors import RequestRefused
from scepsy.engines.emulated.wire.limits import check_limits, check_regex


class JsonSchema(msgspec.Struct):
    schema: dict[str, object] | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class StructuredOutputs(msgspec.Struct):
    choice: list[str] | None = None
    json: dict[str, object] | None = None
    regex: str | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class SamplingBody(msgspec.Struct, kw_only=True):
    """The fields that chat and completions share. As in vLLM, unknown fields are accepted."""

    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    priority: int = 0
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_choice: list[str] | None = None
    guided_json: dict[str, object] | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What an answer depends on in addition to the prompt, which contains the tools' schemas.

    Attributes:
        bound: strings to choose from, or a JSON Schema, to which the answer is constrained.
        digest: of all parameters, so that other parameters give other answers.
    """

    max_tokens: int | None
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    bound: tuple[str, ...] | Schema | None = None
    tools: Tools | None = None
    digest: bytes = b""
    priority: int = 0


def sampling_of(
    body: SamplingBody, *, default_max_tokens: int | None = None, tools: Tools | None = None
) -> Sampling:
    """Raises RequestRefused for values that vLLM refuses."""
    _check(body)
    max_tokens = body.max_completion_tokens or body.max_tokens
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    bound = _bound(body)
    forced = tools is not None and (tools.forced, tools.parallel)
    varied = (
        body.temperature, body.top_p, body.seed, max_tokens, body.min_tokens, stop, bound, forced
    )  # fmt: skip
    return Sampling(
        max_tokens=default_max_tokens if max_tokens is None else max_tokens,
        min_tokens=body.min_tokens,
        ignore_eos=body.ignore_eos,
        stop=tuple(text for text in stop if text),
        bound=bound,
        tools=tools,
        digest=msgspec.json.encode(varied),
        priority=body.priority,
    )


def _check(body: SamplingBody) -> None:
    check_limits(body)
    if body.top_logprobs and not body.logprobs:
        message = "when using `top_logprobs`, `logprobs` must be set to true."
        raise RequestRefused(message, param="top_logprobs")
    if body.logprobs not in (None, False):
        raise RequestRefused("logprobs are not emulated", param="logprobs")
    if body.stream_options is not None and not body.stream:
        message = "Stream options can only be defined when `stream=True`."
        raise RequestRefused(message, param="stream_options")


def _bound(body: SamplingBody) -> tuple[str, ...] | Schema | None:
    outputs = body.structured_outputs or StructuredOutputs()
    given = [one for one in (outputs.choice, outputs.json, outputs.regex) if one is not None]
    if len(given) > 1:
        raise RequestRefused("You can only use one kind of constraints for structured outputs.")
    check_regex(outputs.regex)
    choice = outputs.choice if outputs.choice is not None else body.guided_choice
    if choice is not None:
        if not choice:
            raise RequestRefused("choice cannot be an empty list")
        return tuple(choice)
    schema = outputs.json if outputs.json is not None else body.guided_json
    if body.response_format is not None:
        schema = _schema_of(body.response_format)
    try:
        return None if schema is None else check_schema(schema)
    except BadSchema as error:
        raise RequestRefused(str(error)) from error


def _schema_of(wanted: ResponseFormat) -> Schema | None:
    match wanted.type:
        case "text":
            return None
        case "json_object":
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case "json_schema":
            if wanted.json_schema is None or wanted.json_schema.schema is None:
                raise RequestRefused(
                    "response_format of type json_schema needs json_schema.schema",
                    param="response_format",
                )
            return wanted.json_schema.schema
        case other:
            raise RequestRefused(
                f"unknown response_format type {other!r}",
                param="body.response_format.type",
                kind=MALFORMED,
            )
