"""`python -m scepsy.engines.emulated`: serves one emulated LLM until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
from aiohttp import web

from scepsy.core.llm import LlmSpec
from scepsy.engines.emulated.api.app import make_app
from scepsy.engines.emulated.board import Board
from scepsy.engines.emulated.generation.answer import Author
from scepsy.engines.emulated.pacer import Pacer
from scepsy.engines.emulated.response_store import ResponseStore
from scepsy.engines.emulated.served import ServedLlm
from scepsy.engines.procfs import end_with_parent
from scepsy.engines.protocol import EngineResources
from scepsy.errors import BadInput, ScepsyError
from scepsy.hardware.gpus import bandwidth_kept, gpu_constants
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import StepTimer
from scepsy.sim.engine.continuous_batching import SimulatedEngine


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    options = _parser().parse_args()
    if options.exit_with_parent is not None:
        end_with_parent(options.exit_with_parent)
    try:
        asyncio.run(_serve(_build(options), options.host, options.port))
    except ScepsyError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: cannot listen on {options.host}:{options.port}: {error.strerror}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scepsy.engines.emulated")
    parser.add_argument("--llm-json", required=True, help="an LlmSpec as JSON")
    parser.add_argument("--tp", type=int, default=1)
    parser.add_argument("--gpu-share", type=float, default=1.0)
    parser.add_argument("--memory-share", type=float, default=1.0)
    parser.add_argument("--gpu-type", default="h100")
    parser.add_argument("--gpu-memory", type=float, default=80e9, help="bytes")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-scale", type=float, default=1.0, help="times real speed")
    parser.add_argument(
        "--board",
        dest="boards",
        type=Path,
        action="append",
        default=[],
        help="a file that all engines on one of its GPUs share; give one for each GPU  [default: "
        "those in $SCEPSY_GPU_BOARDS, with colons between them, which a node sets]",
    )
    parser.add_argument("--exit-with-parent", type=int, metavar="PID")
    return parser


def _boards_of_node() -> list[Path]:
    return [Path(one) for one in os.environ.get("SCEPSY_GPU_BOARDS", "").split(":") if one]


def _build(options: argparse.Namespace) -> ServedLlm:
    """The LLM to serve, once its memory is taken.

    Raises BadInput for an LLM that cannot start at this size, and EngineFailed where its GPUs have
    too little free memory.
    """
    try:
        spec = msgspec.json.decode(options.llm_json, type=LlmSpec)
    except msgspec.DecodeError as error:
        raise BadInput(f"--llm-json: {error}") from error
    resources = EngineResources(
        tp=options.tp,
        gpu_share=options.gpu_share,
        memory_share=options.memory_share,
        gpu_type=options.gpu_type,
        gpu_memory=options.gpu_memory,
    )
    capacity = resources.kv_tokens(spec)
    boards = tuple(map(Board, options.boards or _boards_of_node()))
    for board in boards:
        board.hold(resources.memory_share, resources.gpu_memory)
    gpu = gpu_constants(options.gpu_type)
    timer = StepTimer(spec, gpu, tp=options.tp, gpu_share=options.gpu_share)
    engine = SimulatedEngine(
        timer,
        kv_tokens=capacity,
        max_sequences=spec.max_sequences,
        step_tokens=host_time(spec.engine).step_tokens,
    )
    return ServedLlm(
        spec=spec,
        context=min(spec.max_context, capacity),
        author=Author(options.seed, spec.name),
        pacer=Pacer(
            engine,
            options.time_scale,
            boards=boards if resources.gpu_share < 1 else (),
            bandwidth_kept=bandwidth_kept(options.gpu_share),
        ),
        responses=ResponseStore(os.environ.get("VLLM_ENABLE_RESPONSES_API_STORE") == "1"),
    )


_HEADER_BYTES_MAX = 64 << 10
"""Bytes of one HTTP header. vLLM's server accepts large headers, too."""


async def _serve(llm: ServedLlm, host: str, port: int) -> None:
    runner = web.AppRunner(
        make_app(llm),
        access_log=None,
        handler_cancellation=True,
        max_line_size=_HEADER_BYTES_MAX,
        max_field_size=_HEADER_BYTES_MAX,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, shutdown_timeout=0.5, backlog=1024).start()
        logging.info("%s ready on %s:%d, KV %d tokens", llm.spec.name, host, port, llm.context)
        stop = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
