"""Two gateways in front of three emulated engines, with everything that goes wrong in production.

    python experiments/gateway_soak.py                       (15 minutes, loopback only)
    python experiments/gateway_soak.py --seconds 60 --out out/soak

Mixed traffic at 70% of the measured capacity; replicas are killed, stopped and started, gateways
killed, drained and started; callers leave, others send nonsense. Writes gateway_soak.json and
gateway_soak.md, and exits with 1 if a call was lost or doubled, or anything leaks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from experiments.soak.callers import Callers  # noqa: E402
from experiments.soak.page import PAGE  # noqa: E402
from experiments.soak.site import SEATS, Server, Site, Usage  # noqa: E402
from experiments.soak.trouble import make_trouble  # noqa: E402
from experiments.soak.verdict import Evidence, lost, problems, unrecorded  # noqa: E402

from scepsy.core.trace import Call  # noqa: E402
from scepsy.engines.load import read_load  # noqa: E402
from scepsy.profiler.machine import machine  # noqa: E402
from scepsy.store import read_traces  # noqa: E402

ENGINES, GATEWAYS = 3, 2
LOAD = 0.7  # of the measured capacity
GATEWAYS_UNTIL = 0.5  # part of the soak in which gateways are killed and drained
SETTLED = 0.55  # part of the soak after which memory has to stay as it is
QUIET = 8.0  # seconds for pooled connections to close: gateways keep idle ones for four
SAMPLE = 5.0  # seconds between two looks at the gateways' processes


async def main(seconds: float, seed: int, out: Path, folder: Path) -> list[str]:
    """Runs the soak and writes its report. Returns what should not have been."""
    site, rng = Site.of(folder, ENGINES, GATEWAYS), random.Random(seed)
    try:
        await site.start()
        fresh = {one.name: await _usage(site, one) for one in site.gateways}
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            capacity = await _capacity(site, session, rng)
            callers = Callers(site.gateways, session, rng)
            samples: list[Usage] = []
            async with asyncio.TaskGroup() as tasks:
                made = tasks.create_task(
                    make_trouble(
                        site,
                        random.Random(seed + 1),
                        lambda: callers.now,
                        seconds,
                        seconds * GATEWAYS_UNTIL,
                    )
                )
                tasks.create_task(_sample(site, callers, samples, seconds))
                await _traffic(tasks, callers, rng, LOAD * capacity, seconds)
        await asyncio.sleep(QUIET)
        last = {one.name: await _usage(site, one) for one in site.gateways}
        busy = await _busy(site)
    finally:
        await site.end()
    recorded = [call for one in site.gateways for call in _calls(site.traces(one))]
    settled = {
        name: next(
            (one for one in samples if one.gateway == name and one.seconds >= seconds * SETTLED),
            last[name],
        )
        for name in last
    }
    evidence = Evidence(callers.outcomes, recorded, made.result(), fresh, settled, last, busy)
    _write(out, evidence, samples, {"seconds": seconds, "seed": seed, "capacity": capacity})
    return problems(evidence)


async def _traffic(
    tasks: asyncio.TaskGroup, callers: Callers, rng: random.Random, rate: float, seconds: float
) -> None:
    """Poisson arrivals; every call is a task that ends by itself."""
    due = callers.now
    while (due := due + rng.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, due - callers.now))
        tasks.create_task(callers.one())


async def _capacity(site: Site, session: aiohttp.ClientSession, rng: random.Random) -> float:
    """Calls per second with every seat taken."""
    callers, ends = Callers(site.gateways, session, rng, "warm-up"), time.monotonic() + 8

    async def loop() -> int:
        done = 0
        while time.monotonic() < ends:
            done += (await callers.one("whole")).ending == "ok"
        return done

    began = time.monotonic()
    done = sum(await asyncio.gather(*(loop() for _ in range(ENGINES * SEATS))))
    return done / (time.monotonic() - began)


async def _sample(site: Site, callers: Callers, samples: list[Usage], seconds: float) -> None:
    while callers.now < seconds:
        for one in site.gateways:
            usage = await site.usage(one, callers.now)
            if usage is not None:
                samples.append(usage)
        await asyncio.sleep(SAMPLE)


async def _usage(site: Site, gateway: Server) -> Usage:
    """At rest: the least of a few looks, because each look takes a connection itself."""
    looks: list[Usage] = []
    for _ in range(5):
        usage = await site.usage(gateway, 0.0)
        assert usage is not None, f"{gateway.name} does not answer"
        looks.append(usage)
        await asyncio.sleep(0.5)
    return min(looks, key=lambda one: one.sockets)


async def _busy(site: Site) -> float:
    """Sequences that engines have."""
    total = 0.0
    async with aiohttp.ClientSession() as session:
        for one in site.engines:
            async with session.get(one.url + "/metrics") as response:
                total += read_load(await response.text()).in_flight
    return total


def _calls(traces: Path) -> list[Call]:
    found = read_traces(traces)
    return [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]


def _write(out: Path, evidence: Evidence, samples: list[Usage], settings: dict[str, float]) -> None:
    endings = Counter(one.ending for one in evidence.outcomes)
    incidents = Counter(one.what.replace(" ", "_") for one in evidence.incidents)
    found = problems(evidence)
    doubles = sum(one.startswith("doubled") for one in found)
    known = {one.run for one in evidence.recorded}
    answered = [one for one in evidence.outcomes if one.ending == "ok" and one.id not in known]
    rows = [
        f"| {name} | {evidence.settled[name].rss_mb:.1f} | {one.rss_mb:.1f} "
        f"| {evidence.fresh[name].descriptors} | {one.descriptors} "
        f"| {evidence.fresh[name].sockets} | {one.sockets} |"
        for name, one in evidence.last.items()
    ]
    facts = {**settings, "machine": machine(), "day": time.strftime("%Y-%m-%d"), "seats": SEATS}
    named = ("kill_replica", "stop_replica", "kill_gateway", "end_gateway")
    page = PAGE.format(
        **facts,
        rest=1 - GATEWAYS_UNTIL,
        calls=len(evidence.outcomes),
        sent=sum(one.attempts for one in evidence.recorded),
        **{name: endings[name] for name in ("ok", "left", "refused", "cut")},
        lost=len(lost(evidence)),
        doubled=doubles,
        gone=len(answered) - len(unrecorded(evidence)),
        **{name: incidents[name] for name in named},
        usage="\n".join(rows),
        verdict="Nothing was lost, doubled or leaked."
        if not found
        else "What should not have been:\n\n" + "\n".join(f"- {one}" for one in found),
    )
    content = {
        **facts,
        "endings": endings,
        "problems": found,
        "incidents": [asdict(one) for one in evidence.incidents],
        "usage": [asdict(one) for one in (*evidence.fresh.values(), *samples)],
        "last": [asdict(one) for one in evidence.last.values()],
        "cut": [asdict(one) for one in evidence.outcomes if one.ending == "cut"],
        "lost": [asdict(one) for one in lost(evidence)],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "gateway_soak.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "gateway_soak.md").write_text(page)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        wrong = asyncio.run(main(options.seconds, options.seed, options.out, Path(place)))
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))
