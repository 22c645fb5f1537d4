"""Any OpenAI-compatible endpoint as an engine that is there already: a hosted LLM, say."""

from __future__ import annotations

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.protocol import Capabilities, EngineOptions, Launch, Seat
from scepsy.errors import BadInput

_CAPABILITIES = Capabilities()


class EndpointEngine:
    """Nothing is known of it but its URL, and nothing is claimed."""

    @property
    def kind(self) -> EngineKind:
        return "endpoint"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return "unknown"

    def launch(self, llm: LlmSpec, seat: Seat, *, port: int, options: EngineOptions) -> Launch:
        """Raises BadInput: there is nothing to start."""
        raise BadInput(
            f"LLM {llm.name!r} is served by {llm.url}: it can be neither started nor profiled"
        )
