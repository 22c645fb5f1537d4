"""An OpenAI-compatible endpoint that runs already, such as a hosted LLM."""

from __future__ import annotations

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.core.secrets import public_url
from scepsy.engines.protocol import Capabilities, EngineOptions, EngineResources, Launch
from scepsy.errors import BadInput

_CAPABILITIES = Capabilities()


class EndpointEngine:
    """An endpoint of which only the URL is known, so that no capability is claimed."""

    @property
    def kind(self) -> EngineKind:
        return "endpoint"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return "unknown"

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
        """Always raises BadInput, because an endpoint cannot be started."""
        raise BadInput(
            f"LLM {llm.name!r} is served by {public_url(llm.url or '')}: it can be neither "
            "started nor profiled"
        )
