"""Draws which tools an emulated LLM calls, and with which arguments (pure)."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from scepsy.engines.emulated.generation.schema import BadSchema, Schema, check_schema, draw
from scepsy.engines.emulated.generation.text import count_tokens
from scepsy.engines.emulated.wire.errors import RequestRefused

_CALL_PROBABILITY = 0.75
"""Probability that an answer calls a tool, where the prompt has no result of an earlier call."""

_SECOND_CALL_PROBABILITY = 0.25
"""Probability that an answer with a tool call has a second one."""

_ROUNDS_MAX = 8
"""Results of earlier calls in the prompt after which no tool is called, so that agents' loops end.
"""

_HEAD_TOKENS = 8
"""Tokens that LLMs write around the name and the arguments of a call, roughly."""


class Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None


class ToolBody(msgspec.Struct):
    """A tool as chat has it (`function`) or as responses has it (the function's own fields)."""

    type: str = "function"
    function: Function | None = None
    name: str | None = None
    description: str | None = None
    parameters: dict[str, object] | None = None


ToolChoice = str | dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools that an answer may call.

    Attributes:
        functions: the JSON Schema of each function's arguments, by name.
        forced: whether some tool must be called.
        parallel: whether several tools may be called at once.
        rounds: results of earlier calls in the prompt. The more there are, the less likely another
            call is, so that agents' loops end.
    """

    functions: Mapping[str, Schema]
    forced: bool
    parallel: bool
    rounds: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool. `arguments` is JSON."""

    name: str
    arguments: str

    @property
    def tokens(self) -> int:
        return _HEAD_TOKENS + count_tokens(self.arguments)


def tools_of(
    bodies: Sequence[ToolBody] | None, choice: ToolChoice, *, parallel: bool | None, rounds: int
) -> Tools | None:
    """The tools of a request; None where no tool may be called. Raises RequestRefused for requests
    that vLLM refuses, too.
    """
    if choice not in (None, "none") and not bodies:
        raise RequestRefused("When using `tool_choice`, `tools` must be set.", param="tool_choice")
    if not bodies or choice == "none":
        return None
    functions = dict(_function(body) for body in bodies)
    named = _named(choice)
    if named is not None:
        if named not in functions:
            raise RequestRefused(
                f"tool_choice names {named!r}, which is not in tools", param="tool_choice"
            )
        functions = {named: functions[named]}
    return Tools(functions, choice not in (None, "auto"), parallel is not False, rounds)


def draw_calls(tools: Tools, rng: random.Random) -> tuple[ToolCall, ...]:
    """The calls that an answer makes; empty for an answer in words."""
    probability = _CALL_PROBABILITY / (1 + tools.rounds) if tools.rounds < _ROUNDS_MAX else 0.0
    if not tools.forced and rng.random() >= probability:
        return ()
    several = tools.parallel and not tools.forced and rng.random() < _SECOND_CALL_PROBABILITY
    names = [rng.choice(list(tools.functions)) for _ in range(1 + several)]
    return tuple(
        ToolCall(name, msgspec.json.encode(draw(tools.functions[name], rng)).decode())
        for name in names
    )


def new_call_id() -> str:
    return f"chatcmpl-tool-{uuid.uuid4().hex}"


def _function(body: ToolBody) -> tuple[str, Schema]:
    given = body.function
    name = body.name if given is None else given.name
    if body.type != "function" or not name:
        raise RequestRefused(
            f"tools of type {body.type!r} are not emulated, only functions", param="tools"
        )
    schema = (body if given is None else given).parameters
    try:
        return name, check_schema(schema or {"type": "object", "properties": {}})
    except BadSchema as error:
        raise RequestRefused(f"tool {name}: {error}", param="tools") from error


def _named(choice: ToolChoice) -> str | None:
    """The function that must be called, where the choice names one."""
    if choice is None or choice in ("none", "auto", "required"):
        return None
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else choice.get("name")  # type: ignore[union-attr]
        if choice.get("type") == "function" and isinstance(name, str):
            return name
    raise RequestRefused(f"tool_choice {choice!r} is not emulated", param="tool_choice")
