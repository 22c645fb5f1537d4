"""The behaviour that every backend must have: tests that each backend's test class inherits.

They deploy emulated engines with a real gateway in front of them, and break them.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan
from scepsy.deploy.backend import Applied, Backend
from scepsy.deploy.status import Status
from scepsy.errors import CallsCut, CapacityDip, Conflict, EngineFailed, NotFound
from scepsy.store import write_record
from scepsy.testing.callers import call, calling, until_in_flight
from scepsy.testing.deploy_plans import LLMS, plan_of

OTHER_LLMS = tuple(msgspec.structs.replace(llm, max_sequences=32) for llm in LLMS)
"""The same LLMs, whose engines are started otherwise: none of the running ones can stay."""

HOLDING_CALL = 24_000
"""Tokens of a call that takes minutes. It is cut: no test waits for its end."""


class DeploySite(ABC):
    """A backend under test, on at least two nodes with two GPUs each, and what can be done to it.

    `cluster` describes the nodes; `flags` tell `scepsy deploy` in another process to use the same
    machinery. `keeps_weights` says whether nodes keep the weights that engines have loaded.
    """

    cluster: Cluster
    backend: Backend
    flags: tuple[str, ...]
    keeps_weights = True

    @abstractmethod
    async def engines(self) -> Collection[str]:
        """What exists of engines of the deployment "default", known to it or not: processes, actors
        or pods.
        """

    @abstractmethod
    async def kill_replica(self, name: str) -> None:
        """The engine of the replica ends at once, as by SIGKILL."""

    @abstractmethod
    async def hang_replica(self, name: str) -> None:
        """The engine keeps its sockets open and answers nothing any more, as by SIGSTOP."""


class DeployContract:
    """Tests of a backend. A subclass provides a fixture `site`, which is a `DeploySite` with
    nothing deployed. Where the test ends, the fixture takes everything down.

    Attributes:
        long_call: tokens of a call that takes about ten seconds. It has to outlast the start of an
            engine.
    """

    long_call: ClassVar[int] = 1200

    async def test_deploy_status_and_down(self, site: DeploySite) -> None:
        plan = self.two(site)
        assert await site.backend.preview(plan)
        done = await site.backend.apply(plan)
        status = await site.backend.status()
        assert status.healthy
        assert (done.epoch, status.epoch) == (1, 1)
        assert {one.replica for one in status.replicas} == set(done.replicas)
        nodes = {one.replica: one.slices[0].node for one in plan.placement.replicas}
        assert {one.replica: one.node for one in status.replicas} == nodes
        assert len(await site.engines()) == 2
        assert await call(done.url, "m", 4) is None
        assert await call(done.url, "k", 4) is None
        assert await site.backend.preview(plan) == ()
        again = await site.backend.apply(plan)
        assert (again.started, again.stopped, again.epoch) == ((), (), 1)
        await site.backend.down()
        assert not await site.engines()
        with pytest.raises(NotFound):
            await site.backend.status()

    async def test_scaling_loses_no_call(self, site: DeploySite) -> None:
        one, two = self.some_of_m(site, 1), self.some_of_m(site, 2)
        first = await site.backend.apply(one)
        async with calling(first.url, "m") as answers:
            up = await site.backend.apply(two)
            down = await site.backend.apply(one)
        assert (len(up.started), len(down.stopped)) == (1, 1)
        assert (up.epoch, down.epoch) == (2, 3)
        assert (up.url, down.url) == (first.url, first.url)
        assert not down.cut
        assert answers.complete
        assert answers.failed == []
        assert len(await site.engines()) == 1

    async def test_gpus_change_hands(self, site: DeploySite) -> None:
        gpus = self.gpus(site)
        half = len(gpus) // 2
        await site.backend.apply(self.some_of_m(site, len(gpus)))
        mixed = [("m", [gpu], 1.0) for gpu in gpus[:half]]
        mixed += [("k", [gpu], 1.0) for gpu in gpus[half:]]
        done = await site.backend.apply(plan_of(site.cluster, *mixed))
        status = await site.backend.status()
        assert status.healthy
        assert sorted(one.llm for one in status.replicas) == sorted(llm for llm, _, _ in mixed)
        assert sorted(gpu for one in status.replicas for gpu in one.gpus) == sorted(gpus)
        assert len(done.started) == len(done.stopped) == len(gpus) - half
        assert await call(done.url, "m", 4) is None
        assert await call(done.url, "k", 4) is None

    async def test_what_starts_anew_goes_where_its_weights_are(self, site: DeploySite) -> None:
        first, second = self.gpus(site)[:2]
        await site.backend.apply(plan_of(site.cluster, ("m", [first], 1.0), ("k", [second], 1.0)))
        before = {one.llm: one.node for one in (await site.backend.status()).replicas}
        exchanged = plan_of(
            site.cluster, ("m", [second], 1.0), ("k", [first], 1.0), llms=OTHER_LLMS
        )
        done = await site.backend.apply(exchanged)
        assert len(done.started) == 2
        after = {one.llm: one.node for one in (await site.backend.status()).replicas}
        places = {one.llm: one.slices[0].node for one in exchanged.placement.replicas}
        assert before != places
        assert after == (before if site.keeps_weights else places)

    async def test_a_change_that_needs_a_dip_asks_first(self, site: DeploySite) -> None:
        done = await site.backend.apply(self.full(site, LLMS))
        standing = await site.engines()
        for ask in (site.backend.apply, site.backend.preview):
            with pytest.raises(CapacityDip, match=r"about \d+ s after .* --allow-dip") as caught:
                await ask(self.full(site, OTHER_LLMS))
        assert caught.value.would[0].startswith("wave 1: ")
        assert set(await site.engines()) == set(standing)
        assert (await site.backend.status()).healthy
        async with calling(done.url, "m") as answers:
            after = await site.backend.apply(self.full(site, OTHER_LLMS), allow_dip=True)
        assert not set(await site.engines()) & set(standing)
        assert any("lacks" in wave for wave in after.waves)
        assert answers.complete
        assert answers.failed == []

    async def test_a_killed_replica_comes_back_by_itself(self, site: DeploySite) -> None:
        done = await site.backend.apply(self.some_of_m(site, 2))
        async with calling(done.url, "m") as answers:
            await site.kill_replica("m-0")
            status = await self.until_healthy(site, restarted="m-0")
        assert len(status.replicas) == 2
        assert answers.complete
        # A call that had begun to be answered by the killed engine cannot be saved.
        assert all("broken off" in why for why in answers.failed)
        assert len(answers.failed) <= 2

    async def test_a_hung_replica_is_replaced_by_a_repair(self, site: DeploySite) -> None:
        first = await site.backend.apply(self.some_of_m(site, 1))
        before = await site.engines()
        cut = asyncio.create_task(call(first.url, "m", HOLDING_CALL))
        await until_in_flight(site.backend, 1)
        await site.hang_replica("m-0")
        done = await site.backend.repair()
        assert [(one.replica, one.calls) for one in done.cut] == [("m-0", 1)]
        assert any("1 call was cut at m-0, which" in said for said in done.waves)
        assert await cut is not None
        assert (await site.backend.status()).healthy
        assert not set(before) & set(await site.engines())
        assert await call(done.url, "m", 4) is None

    async def test_a_change_whose_process_is_killed_is_finished_by_another(
        self, site: DeploySite, tmp_path: Path
    ) -> None:
        done = await site.backend.apply(self.some_of_m(site, 1))
        wanted = self.some_of_m(site, 3)
        command = await self.deploy(site, wanted, tmp_path)
        await _said(command, "wave 1")
        command.kill()
        await command.wait()
        assert await call(done.url, "m", 4) is None
        again = await site.backend.apply(wanted)
        assert len(again.replicas) == 3
        assert (await site.backend.status()).healthy
        assert len(await site.engines()) == 3
        await site.backend.down()
        assert not await site.engines()

    async def test_a_call_that_outlasts_the_grace_is_cut_and_that_is_said(
        self, site: DeploySite, tmp_path: Path
    ) -> None:
        first, second = self.gpus(site)[:2]
        done = await site.backend.apply(plan_of(site.cluster, ("m", [first], 1.0)))
        calling = asyncio.create_task(call(done.url, "m", HOLDING_CALL))
        await until_in_flight(site.backend, 1)
        wanted = plan_of(site.cluster, ("m", [second], 1.0), llms=OTHER_LLMS)
        command = await self.deploy(site, wanted, tmp_path, "--grace", "0.5")
        said, _ = await command.communicate()
        assert command.returncode == CallsCut.exit_code, said.decode()
        assert "1 call was cut at m-0" in said.decode()
        assert await calling is not None
        assert (await site.backend.status()).healthy

    async def test_a_call_that_ends_within_the_grace_is_not_cut(self, site: DeploySite) -> None:
        first, second = self.gpus(site)[:2]
        done = await site.backend.apply(plan_of(site.cluster, ("m", [first], 1.0)))
        calling = asyncio.create_task(call(done.url, "m", self.long_call))
        await until_in_flight(site.backend, 1)
        wanted = plan_of(site.cluster, ("m", [second], 1.0), llms=OTHER_LLMS)
        after = await site.backend.apply(wanted)
        assert len(after.stopped) == 1
        assert after.cut == ()
        assert await calling is None
        assert len(await site.engines()) == 1

    async def test_down_waits_for_calls_and_says_which_it_cut(self, site: DeploySite) -> None:
        plan = self.some_of_m(site, 1)
        done = await site.backend.apply(plan)
        patient = asyncio.create_task(call(done.url, "m", self.long_call // 4))
        await until_in_flight(site.backend, 1)
        gone = await site.backend.down(grace=120)
        assert gone.cut == ()
        assert await patient is None
        done = await site.backend.apply(plan)
        cut = asyncio.create_task(call(done.url, "m", HOLDING_CALL))
        await until_in_flight(site.backend, 1)
        gone = await site.backend.down(grace=0.2)
        assert [(one.replica, one.calls) for one in gone.cut] == [("m-0", 1)]
        assert await cut is not None
        assert not await site.engines()

    async def test_of_two_appliers_one_wins_and_the_other_is_told(
        self, site: DeploySite, tmp_path: Path
    ) -> None:
        first, second = self.gpus(site)[:2]
        done = await site.backend.apply(plan_of(site.cluster, ("m", [first], 1.0)))
        holding = asyncio.create_task(call(done.url, "m", HOLDING_CALL))  # until it is cancelled
        await until_in_flight(site.backend, 1)
        waits = asyncio.Event()
        wanted = plan_of(site.cluster, ("m", [second], 1.0), llms=OTHER_LLMS)
        winner = asyncio.create_task(
            site.backend.apply(
                wanted, on_progress=lambda said: waits.set() if "no new calls" in said else None
            )
        )
        await waits.wait()
        with pytest.raises(Conflict):
            await site.backend.apply(self.some_of_m(site, 2))
        with pytest.raises(Conflict):
            await site.backend.down()
        loser = await self.deploy(site, self.some_of_m(site, 2), tmp_path)
        said, _ = await loser.communicate()
        assert loser.returncode == Conflict.exit_code, said.decode()
        holding.cancel()
        after: Applied = await winner
        assert (len(after.replicas), after.cut) == (1, ())
        assert len(await site.engines()) == 1
        assert (await site.backend.status()).healthy

    async def test_a_change_that_fails_leaves_what_was_there(self, site: DeploySite) -> None:
        before = self.some_of_m(site, 1)
        done = await site.backend.apply(before)
        broken = msgspec.structs.replace(LLMS[1], flags=("--no-such-flag",))
        second = self.gpus(site)[1]
        wanted = plan_of(
            site.cluster,
            *(("m", [self.gpus(site)[0]], 1.0), ("k", [second], 1.0)),
            llms=(LLMS[0], broken),
        )
        with pytest.raises(EngineFailed, match="no-such-flag"):
            await site.backend.apply(wanted)
        assert (await site.backend.status()).healthy
        assert len(await site.engines()) == 1
        assert await call(done.url, "m", 4) is None

    async def test_a_first_deployment_that_fails_leaves_nothing(self, site: DeploySite) -> None:
        broken = msgspec.structs.replace(LLMS[1], flags=("--no-such-flag",))
        first, second = self.gpus(site)[:2]
        wanted = plan_of(
            site.cluster, ("m", [first], 1.0), ("k", [second], 1.0), llms=(LLMS[0], broken)
        )
        with pytest.raises(EngineFailed, match="no-such-flag"):
            await site.backend.apply(wanted)
        assert not await site.engines()
        with pytest.raises(NotFound):
            await site.backend.status()

    def gpus(self, site: DeploySite) -> list[str]:
        """Every GPU as "node/index": first the first of each node, so that two are on two nodes."""
        nodes = site.cluster.nodes
        most = max(node.gpus for node in nodes)
        return [f"{node.name}/{gpu}" for gpu in range(most) for node in nodes if gpu < node.gpus]

    def two(self, site: DeploySite) -> Plan:
        """One replica of each LLM, on two GPUs."""
        first, second = self.gpus(site)[:2]
        return plan_of(site.cluster, ("m", [first], 1.0), ("k", [second], 1.0))

    def some_of_m(self, site: DeploySite, replicas: int) -> Plan:
        """So many replicas of one LLM, each on a GPU of its own."""
        return plan_of(site.cluster, *(("m", [gpu], 1.0) for gpu in self.gpus(site)[:replicas]))

    def full(self, site: DeploySite, llms: Sequence[LlmSpec]) -> Plan:
        """A replica of one LLM on every GPU, with a load that needs all of them."""
        placed = [("m", [gpu], 1.0) for gpu in self.gpus(site)]
        return plan_of(site.cluster, *placed, llms=llms, load={"m": 0.99})

    async def deploy(self, site: DeploySite, plan: Plan, folder: Path, *more: str) -> Process:
        """Starts `scepsy deploy` in a process of its own."""
        path = folder / "plan.json"
        write_record(path, plan)
        arguments = ("deploy", str(path), *site.flags, *more)
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scepsy", *arguments, stdout=PIPE, stderr=STDOUT
        )

    async def until_healthy(self, site: DeploySite, *, restarted: str) -> Status:
        """The status, once everything is healthy again and this replica was restarted."""
        async with asyncio.timeout(120):
            while True:
                status = await site.backend.status()
                again = any(one.replica == restarted and one.restarts for one in status.replicas)
                if again and status.healthy:
                    return status
                await asyncio.sleep(0.2)


async def _said(command: Process, words: str) -> None:
    """Waits until the command has printed these words. Fails where it ends without them."""
    assert command.stdout is not None
    said = b""
    async with asyncio.timeout(60):
        while words.encode() not in said:
            line = await command.stdout.readline()
            assert line, said.decode()
            said += line
