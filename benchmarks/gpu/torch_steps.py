"""Steps of the plain decoder, timed: each alone, or over and over beside a neighbour."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.gpu.decoder import Decoder
from benchmarks.gpu.jobs import Job, Point
from benchmarks.gpu.shapes import SHAPES

Emit = Callable[[dict[str, Any]], None]
ROOM = 0.85
"""Part of the free memory that a decoder may take; activations and graphs need the rest."""


def build(job: Job, device: torch.device) -> tuple[Decoder, list[Point]]:
    """A decoder, and those of the job's points for which memory suffices."""
    shape = SHAPES[job.llm]
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    free = 2**31 if device.type == "cpu" else torch.cuda.mem_get_info()[0]
    room = ROOM * free - shape.parameters * dtype.itemsize
    most = int(room // shape.kv_bytes_per_token(dtype.itemsize))
    points = [point for point in job.points if point.kv_tokens <= most]
    if not points:
        raise RuntimeError(f"{shape.name} needs more than the {free / 2**30:.0f} GiB that are free")
    pool = max(point.kv_tokens for point in points)
    return Decoder(shape, device, dtype, pool), points


def runner(decoder: Decoder, point: Point) -> Callable[[], object]:
    """One step, ready to run again and again. On a GPU a CUDA graph, as engines have."""
    tokens = torch.zeros(point.prefill + point.decodes, dtype=torch.long, device=decoder.device)
    turn = decoder.rotation(point)

    def step() -> object:
        return decoder.step(point, tokens, turn)

    if decoder.device.type == "cpu":
        return step
    step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    # Captured where it will run: a kernel in a graph keeps the (green) context of its stream.
    stream = torch.cuda.current_stream()
    usual = stream == torch.cuda.default_stream()
    with torch.cuda.graph(graph, stream=None if usual else stream):
        step()
    return graph.replay


def measure_steps(decoder: Decoder, points: list[Point], seconds: float, emit: Emit) -> None:
    """Emits the median step time of each point, and the quartiles' distance over it."""
    for point in points:
        run = runner(decoder, point)
        times = timed(run, decoder.device, seconds)
        low, middle, high = statistics.quantiles(times, n=4)
        emit({"record": "step", "engine": "torch", "llm": decoder.shape.name,
              "prefill": point.prefill, "prefix": point.prefix, "decodes": point.decodes,
              "context": point.context, "seconds": middle, "spread": (high - low) / middle,
              "repeats": len(times)})  # fmt: skip


def measure_rate(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Steps per second over `seconds`, the first tenth of which is thrown away."""
    start = time.perf_counter()
    warm = start + 0.1 * seconds
    count, counting = 0, start
    while (now := time.perf_counter()) < start + seconds:
        if now < warm:
            counting, count = now, 0
        run()
        _wait(device)
        count += 1
    return count / (time.perf_counter() - counting)


def timed(run: Callable[[], object], device: torch.device, seconds: float) -> list[float]:
    """Seconds of each of 5 to 300 runs that take about `seconds` together."""
    for _ in range(2):
        run()
    _wait(device)
    times: list[float] = []
    while len(times) < 5 or (sum(times) < seconds and len(times) < 300):
        times.append(_one(run, device))
    return times


def _one(run: Callable[[], object], device: torch.device) -> float:
    if device.type == "cpu":
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000.0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
