"""CPU time of a call through a gateway: ours, bare proxies on several HTTP stacks, and peers.

Every system stands in front of the same fake engine in the same run. Prints a table and writes
out/bench/gateway.json: [{"system", "recording", "request_cpu_ms", "stream_cpu_ms",
"requests_per_second", "rss_mb"}, ...]. CPU time is that of the system's processes alone, so that
other load on the machine matters little; requests per second are those of a shared machine.

    python benchmarks/gateway_cost.py            # direct, and ours with and without recording
    python benchmarks/gateway_cost.py --stacks   # bare proxies too
    python benchmarks/gateway_cost.py --full     # peers too; ten minutes
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from gateway_bench import systems
from gateway_bench.clocks import cpu_seconds, rss_mb
from gateway_bench.load import drive

OUT = Path("out/bench/gateway.json")
PEERS_AT = Path("out/bench/peers")
PEER_PACKAGES = ("vllm-router", "litellm[proxy]", "granian[uvloop]", "httptools")
WIDTH = 16  # connections
STREAM_WIDTH = 8  # few, so that a slow system does not read several chunks at once


@dataclass(frozen=True)
class Sizes:
    """Of one round: requests, streams; and how many rounds. The median round counts."""

    requests: int
    streams: int
    rounds: int


SMALL = Sizes(requests=2000, streams=150, rounds=3)
SLOW = Sizes(requests=200, streams=24, rounds=3)


@dataclass(frozen=True)
class Row:
    """One system. `direct` has no gateway, and so no CPU time of one."""

    system: str
    recording: str
    request_cpu_ms: float | None
    stream_cpu_ms: float | None
    requests_per_second: float
    rss_mb: float | None


@contextmanager
def _direct(port: int) -> Iterator[systems.Running]:
    yield systems.Running(0, port)


async def _measured(at: systems.Running, name: str, recording: str, sizes: Sizes) -> Row:
    await drive(at.port, stream=False, requests=max(64, sizes.requests // 4), width=WIDTH)
    await drive(at.port, stream=True, requests=16, width=STREAM_WIDTH, offset=10_000)
    requests: list[float] = []
    streams: list[float] = []
    rates: list[float] = []
    for turn in range(sizes.rounds):
        offset = 100_000 * (turn + 1)
        before = cpu_seconds(at.pid) if at.pid else 0.0
        load = await drive(
            at.port, stream=False, requests=sizes.requests, width=WIDTH, offset=offset
        )
        between = cpu_seconds(at.pid) if at.pid else 0.0
        await drive(
            at.port, stream=True, requests=sizes.streams, width=STREAM_WIDTH, offset=offset + 50_000
        )
        after = cpu_seconds(at.pid) if at.pid else 0.0
        requests.append(1000 * (between - before) / sizes.requests)
        streams.append(1000 * (after - between) / sizes.streams)
        rates.append(sizes.requests / load.seconds)
    return Row(
        name,
        recording,
        round(median(requests), 3) if at.pid else None,
        round(median(streams), 3) if at.pid else None,
        round(median(rates)),
        round(rss_mb(at.pid), 1) if at.pid else None,
    )


def _peers_python() -> Path:
    """An environment of their own for the peers, which pin versions of what we use."""
    if not (PEERS_AT / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_AT)], check=True)
        pip = [str(PEERS_AT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PEER_PACKAGES], check=True)
        (PEERS_AT / ".installed").touch()
    return PEERS_AT / "bin" / "python"


def _versions(names: tuple[str, ...], python: Path | None) -> dict[str, str]:
    found = {name: version(name) for name in ("aiohttp", "httptools", "uvloop")}
    if python is not None:
        code = f"import importlib.metadata as m; print(*(m.version(n) for n in {names!r}))"
        said = subprocess.run(
            [str(python), "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
        found |= dict(zip(names, said, strict=True))
    return found


def _jobs(
    engine: int, work: Path, *, stacks: bool, peers: Path | None
) -> Iterator[tuple[str, str, AbstractContextManager[systems.Running], Sizes]]:
    yield "direct", "-", _direct(engine), SMALL
    for recording in (False, True):
        gateway = systems.scepsy(engine, work, recording=recording)
        yield "scepsy", "on" if recording else "off", gateway, SMALL
    for name in systems.STACKS if stacks else ():
        python = sys.executable if peers is None else str(peers)
        if name.startswith("granian") and peers is None:
            continue
        yield f"bare proxy: {name}", "-", systems.stack(name, engine, work, python), SMALL
    if peers is not None:
        yield "vllm-router", "-", systems.vllm_router(engine, work, peers.parent), SMALL
        yield "litellm", "-", systems.litellm(engine, work, peers.parent), SLOW


def _print(row: Row) -> None:
    cells = [
        "-" if one is None else f"{one:.3f}" for one in (row.request_cpu_ms, row.stream_cpu_ms)
    ]
    memory = "-" if row.rss_mb is None else f"{row.rss_mb:.0f}"
    print(
        f"{row.system:32}{row.recording:>10}{cells[0]:>16}{cells[1]:>16}"
        f"{row.requests_per_second:>14.0f}{memory:>8}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", action="store_true", help="bare proxies on several stacks too")
    parser.add_argument("--full", "--peers", action="store_true", help="stacks and peers too")
    options = parser.parse_args()
    peers = _peers_python() if options.full else None
    print(
        f"{'system':32}{'recording':>10}{'request CPU ms':>16}{'stream CPU ms':>16}"
        f"{'requests/s':>14}{'MB':>8}"
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        with systems.engine(work) as engine:
            stacks = options.stacks or options.full
            for name, recording, system, sizes in _jobs(engine, work, stacks=stacks, peers=peers):
                with system as at:
                    rows.append(asyncio.run(_measured(at, name, recording, sizes)))
                _print(rows[-1])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    names = ("vllm-router", "litellm", "granian") if peers else ()
    said = ", ".join(f"{k} {v}" for k, v in _versions(names, peers).items())
    print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}; {said}")


if __name__ == "__main__":
    main()
