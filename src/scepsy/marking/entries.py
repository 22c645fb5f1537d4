"""The entry points at which a run begins: handlers of servers' requests, and the methods by which
frameworks start a run. By module, class and method.

An outer entry point takes precedence: a request that calls five agents is one run.
"""

from __future__ import annotations

from collections.abc import Mapping

Entries = Mapping[str, Mapping[str, tuple[str, ...]]]

SERVERS: Entries = {
    "aiohttp.web_app": {"Application": ("_handle",)},
    "flask.app": {"Flask": ("wsgi_app",)},
}

ASGI = "starlette.applications"
"""Has `Starlette`, which FastAPI's class is a subclass of."""

FRAMEWORKS: Entries = {
    "langgraph.pregel.main": {"Pregel": ("invoke", "ainvoke", "stream", "astream")},
    "agents.run": {"Runner": ("run", "run_sync", "run_streamed")},
    "pydantic_ai.agent.abstract": {"AbstractAgent": ("run", "run_sync")},
    "autogen_agentchat.teams._group_chat._base_group_chat": {
        "BaseGroupChat": ("run", "run_stream")
    },
    "autogen_agentchat.agents._base_chat_agent": {"BaseChatAgent": ("run", "run_stream")},
    "crewai.flow.flow": {"Flow": ("kickoff", "kickoff_async")},
    "crewai.crew": {"Crew": ("kickoff", "kickoff_async", "akickoff")},
    "llama_index.core.workflow": {"Workflow": ("run",)},
    "dspy.primitives.module": {"Module": ("__call__", "acall")},
    "smolagents.agents": {"MultiStepAgent": ("run",)},
    "haystack.core.pipeline.pipeline": {"Pipeline": ("run", "run_async")},
}
