"""The systems that are measured: how each is started in front of the engine, as a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway_bench.wire import LLM

STACKS = ("aiohttp", "aiohttp uvloop", "httptools", "httptools uvloop", "granian uvloop")
PEERS = ("vllm-router", "litellm")
_HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Running:
    """A system that listens at `port`; `pid` is the root of its processes."""

    pid: int
    port: int


@contextmanager
def process(argv: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A child that ends with the block; what it writes to stderr goes to `log`."""
    env = {**os.environ, "PYTHONPATH": str(_HERE), **environment}
    with (
        log.open("a") as errors,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()


def printed(child: subprocess.Popen[str]) -> str:
    """The first line that it prints. Raises RuntimeError where it ends without one."""
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"{child.args}: ended before it was ready")
    return line


@contextmanager
def engine(work: Path) -> Iterator[int]:
    """The port of the fake engine."""
    with process([sys.executable, "-m", "gateway_bench.engine"], work / "engine.log") as child:
        yield int(printed(child))


@contextmanager
def scepsy(engine_port: int, work: Path, *, recording: bool) -> Iterator[Running]:
    config = {
        "routes": [{"llm": LLM, "replica": "r0", "url": f"http://127.0.0.1:{engine_port}"}],
        "traces": str(work / "traces") if recording else None,
    }
    path = work / "gateway.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    argv = [sys.executable, "-m", "scepsy.gateway", "--config", str(path)]
    with process(argv, work / "scepsy.log") as child:
        yield Running(child.pid, int(printed(child).rpartition(":")[2]))


@contextmanager
def stack(name: str, engine_port: int, work: Path, python: str) -> Iterator[Running]:
    """A bare proxy; `name` is one of STACKS."""
    module, _, loop = name.partition(" ")
    argv = [python, "-m", f"gateway_bench.stacks.{module}_proxy", str(engine_port)]
    with process([*argv, *([loop] if loop else [])], work / "stack.log") as child:
        port = int(printed(child))
        _wait_for(child, port, 20)
        yield Running(child.pid, port)


@contextmanager
def vllm_router(engine_port: int, work: Path, bin_: Path) -> Iterator[Running]:
    port, metrics = _free_port(), _free_port()
    argv = [
        *(str(bin_ / "vllm-router"), "--worker-urls", f"http://127.0.0.1:{engine_port}"),
        *("--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin"),
        *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(metrics)),
    ]
    with process(argv, work / "vllm-router.log") as child:
        _wait_for(child, port, 60)
        time.sleep(3)  # it listens before it knows its workers
        yield Running(child.pid, port)


@contextmanager
def litellm(engine_port: int, work: Path, bin_: Path) -> Iterator[Running]:
    port, path = _free_port(), work / "litellm.yaml"
    path.write_text(
        f"model_list:\n  - model_name: {LLM}\n    litellm_params:\n"
        f"      model: hosted_vllm/{LLM}\n      api_base: http://127.0.0.1:{engine_port}/v1\n"
        "      api_key: none\nlitellm_settings:\n  telemetry: false\n",
        encoding="utf-8",
    )
    argv = [str(bin_ / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with process([*argv, "--port", str(port)], work / "litellm.log", **quiet) as child:
        _wait_for(child, port, 180)
        time.sleep(2)
        yield Running(child.pid, port)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for(child: subprocess.Popen[str], port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{child.args}: nothing listens on port {port}")
