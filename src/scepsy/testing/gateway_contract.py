"""The API of every engine behind the gateway, including the checks that the gateway adds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scepsy.core.llm import LlmKind
from scepsy.engines import Capabilities, EngineProcess, Launch, free_port, start, stop
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.store import write_record
from scepsy.testing.api_contract import ApiContract


class GatewayContract(ApiContract):
    """`ApiContract`, with a gateway in front of the engine."""

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Those of the engine, with the checks that the gateway adds and without the engine's
        metrics.
        """
        return replace(
            super().capabilities(), strict=True, model_check=True, context_check=True, metrics=False
        )

    @classmethod
    def route(cls, kind: LlmKind, folder: Path, engine: EngineProcess) -> Route:
        llm = cls.llm(kind, folder)
        return Route(
            llm=kind,
            replica=f"{kind}-0",
            url=engine.url,
            engine=llm.engine,
            max_context=llm.max_context,
            ranked=cls.capabilities().priority,
        )

    @classmethod
    @contextmanager
    def serving(cls, kind: LlmKind, folder: Path) -> Generator[EngineProcess]:
        with super().serving(kind, folder) as engine:
            port, path = free_port(), folder / "gateway.json"
            write_record(path, GatewayConfig(port=port, routes=(cls.route(kind, folder, engine),)))
            argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path))
            launch = Launch(argv, f"http://127.0.0.1:{port}")
            gateway = asyncio.run(start(launch, log_path=folder / "gateway.log", name="gateway"))
            try:
                yield gateway
            finally:
                asyncio.run(stop(gateway))
