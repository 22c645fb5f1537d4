"""The LLM that an emulated engine serves: it checks requests, makes answers and takes the engine's
time for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field

from scepsy.core.llm import LlmSpec
from scepsy.engines.emulated.generation.answer import Author, GeneratedAnswer
from scepsy.engines.emulated.generation.sampling import Sampling
from scepsy.engines.emulated.generation.text import Prompt
from scepsy.engines.emulated.pacer import Pacer
from scepsy.engines.emulated.response_store import ResponseStore
from scepsy.engines.emulated.wire.errors import RequestRefused


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """One answer to one prompt. `prompt_number` is the prompt's place in the request."""

    index: int
    prompt_number: int
    prompt: Prompt
    answer: GeneratedAnswer
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Increment:
    """Tokens `start` to `stop` of a choice. The last increment has `cached_tokens`."""

    choice: AnswerChoice
    start: int
    stop: int
    cached_tokens: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a request. A prompt with several answers counts once."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    def wire(self) -> dict[str, object]:
        """The usage as chat, completions and pooling endpoints report it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens": self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


@dataclass(frozen=True, slots=True)
class ServedLlm:
    """One LLM at one emulated engine. `context` is the largest number of tokens of prompt and
    answer together.
    """

    spec: LlmSpec
    context: int
    author: Author
    pacer: Pacer
    responses: ResponseStore = field(default_factory=ResponseStore)

    def check_name(self, name: str | None) -> None:
        """Raises RequestRefused for another LLM's name. A request without a name means this LLM."""
        if name is not None and name != self.spec.name:
            raise RequestRefused(f"The model `{name}` does not exist.", status=404, param="model")

    def choices(self, prompts: Sequence[Prompt], sampling: Sampling, n: int) -> list[AnswerChoice]:
        """Makes `n` answers to each prompt. Raises RequestRefused for a prompt that is too long."""
        made: list[AnswerChoice] = []
        for number, prompt in enumerate(prompts):
            room = self._room(prompt, sampling.max_tokens or 1)
            for index in range(n):
                answer = self.author.answer(prompt, sampling, index=index, room=room)
                made.append(
                    AnswerChoice(number * n + index, number, prompt, answer, sampling.priority)
                )
        return made

    async def finish(self, choices: Sequence[AnswerChoice]) -> Usage:
        """Waits until the engine has computed all of them."""
        cached = await self._all(
            self.pacer.finish(one.prompt.tokens, one.answer.tokens, one.prompt.blocks, one.priority)
            for one in choices
        )
        return usage_of(choices, cached)

    async def increments(self, choices: Sequence[AnswerChoice]) -> AsyncGenerator[Increment, None]:
        """New tokens of any of the choices, as the engine computes them."""
        queue: asyncio.Queue[Increment] = asyncio.Queue()

        async def follow(choice: AnswerChoice) -> None:
            answer, prompt, start = choice.answer, choice.prompt, 0
            parts = self.pacer.stream(prompt.tokens, answer.tokens, prompt.blocks, choice.priority)
            async for part in parts:
                stop = start + part.tokens
                queue.put_nowait(Increment(choice, start, stop, part.cached_tokens))
                start = stop

        followers = [asyncio.create_task(follow(choice)) for choice in choices]
        try:
            left = len(followers)
            while left:
                increment = await queue.get()
                left -= increment.cached_tokens is not None
                yield increment
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def prefill(self, prompts: Sequence[Prompt], priority: int = 0) -> Usage:
        """Computes prompts without an answer, for embeddings and reranking."""
        for prompt in prompts:
            self._room(prompt, 0)
        cached = await self._all(
            self.pacer.finish(prompt.tokens, 0, prompt.blocks, priority) for prompt in prompts
        )
        return Usage(sum(prompt.tokens for prompt in prompts), 0, sum(cached))

    async def _all(self, sequences: Iterable[Coroutine[None, None, int]]) -> list[int]:
        waiting = list(sequences)
        if len(waiting) == 1:
            return [await waiting[0]]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in waiting]
        return [task.result() for task in running]

    def _room(self, prompt: Prompt, output: int) -> int:
        if prompt.tokens == 0:
            raise RequestRefused("The prompt cannot be empty.", param="prompt")
        if output > self.context:
            message = f"max_tokens={output} cannot be greater than max_model_len={self.context}."
            raise RequestRefused(message, param="max_tokens")
        if prompt.tokens + output > self.context:
            raise RequestRefused(
                f"This model's maximum context length is {self.context} tokens. However, you "
                f"requested {output} output tokens and your prompt contains {prompt.tokens} input "
                "tokens. Please reduce the length of the input prompt or the number of requested "
                "output tokens.",
                param="input_tokens",
            )
        return self.context - prompt.tokens


def usage_of(choices: Sequence[AnswerChoice], cached: Sequence[int]) -> Usage:
    """The usage of a request. `cached` has the cached prompt tokens of each choice; those of a
    prompt's first choice count for the prompt.
    """
    first = {choice.prompt_number: i for i, choice in reversed(list(enumerate(choices)))}
    return Usage(
        sum(choices[i].prompt.tokens for i in first.values()),
        sum(choice.answer.tokens for choice in choices),
        sum(cached[i] for i in first.values()),
    )
