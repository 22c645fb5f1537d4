"""Decides what runs in one deployment on Ray, and brings it about: at a command's request, and when
a node or an actor is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec

from scepsy.core.llm import EngineKind
from scepsy.core.plan import Infeasible, Plan, Replica
from scepsy.deploy.accepted import accepted, reached
from scepsy.deploy.apply import Change, change_to
from scepsy.deploy.backend import Applied, OnProgress, TakenDown, cut_calls
from scepsy.deploy.ray import names
from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.groups import PlacementGroups
from scepsy.deploy.ray.jobs import Jobs
from scepsy.deploy.ray.mps import why_not_shared
from scepsy.deploy.ray.nodes import alive, missing_gpus
from scepsy.deploy.ray.records import RayDeployment, Request
from scepsy.deploy.ray.replacing import replaced
from scepsy.deploy.ray.reservations import Reservations
from scepsy.deploy.ray.runtime import RayRuntime
from scepsy.deploy.ray.state import StoredDeployment, all_deployments
from scepsy.deploy.restarts import Failure, Restart, RestartPolicy, decide
from scepsy.errors import BadInput, Conflict, ScepsyError
from scepsy.gateway.config import GRACE

_PERIOD = 1.0
"""Seconds between two looks at the nodes and the actors."""

_FAILURES_KEPT = 20

_REPAIRS = RestartPolicy(first_wait=1.0, longest_wait=30.0, most=1 << 30)
"""When repairs that fail are tried again: for ever, since what they lack may come back."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Controller:
    """The controller of the deployment in `runtime`. Its changes must come one after another."""

    runtime: RayRuntime
    gone: bool = False
    _fenced: frozenset[str] = frozenset()
    _refused_on: frozenset[str] = frozenset()
    _failed: list[Failure] = field(default_factory=list[Failure])

    @property
    def api(self) -> RayApi:
        return self.runtime.api

    @property
    def stored(self) -> StoredDeployment:
        return self.runtime.stored

    @property
    def reservations(self) -> Reservations:
        return Reservations(self.stored, PlacementGroups(self.api))

    async def apply(self, asked: Request, say: OnProgress) -> Applied:
        """Brings the deployment to a plan. Where that fails, it goes back to the plan before it; of
        a first deployment nothing is left. Raises as `Backend.apply` does.
        """
        before = self.stored.current
        _check_shares(asked.plan)
        self._check_gateway(before, asked)
        await self._check_gpus(asked.plan)
        await self._proposed(asked, say).check()
        self.stored.current = _as_asked(asked, self.stored.current)
        change = _change(self.runtime, before.plan, asked.grace, asked.allow_dip, say)
        try:
            return await self._run(change)
        except BaseException:
            await self._undo(before, say)
            raise

    async def repair(self, say: OnProgress) -> Applied:
        """Finishes the plan that was accepted last, or replaces what is lost of it, on the nodes
        that are left. Raises BadInput where it does not fit on them.
        """
        current = self.stored.current
        # First: an actor may end an engine that hangs while we ask whether it does.
        calls = await self.runtime.calls()
        await self.runtime.find_hung()
        living = alive(await self.api.nodes())
        plan: Plan | Infeasible = current.plan
        if any(part.node not in living for one in plan.placement.replicas for part in one.slices):
            plan = replaced(current.plan, living.keys())
        if isinstance(plan, Infeasible):
            self._refused_on = frozenset(living)
            await self._note(plan.reason)
            raise BadInput(plan.reason)
        current = self.stored.current
        asked = msgspec.structs.replace(current, plan=plan)
        self.stored.current = accepted(current, asked, _loaded(current))
        change = _change(self.runtime, current.plan, GRACE, True, say)
        return await self._run(replace(change, calls_before=calls))

    async def down(self, grace: float) -> TakenDown:
        """Stops everything and forgets the deployment."""
        left = await self.runtime.gateway.closed(grace)
        stopped = await self._stop_all()
        return TakenDown(name=self.stored.current.name, stopped=stopped, cut=cut_calls(left))

    async def preview(self, asked: Request) -> tuple[str, ...]:
        """What `apply` would do. Raises as it does."""
        await self._check_gpus(asked.plan)
        return await self._proposed(asked, print).preview()

    async def watch(self, jobs: Jobs) -> None:
        """For ever: takes calls and routes away from dead nodes at once, and begins a repair where
        something is lost.
        """
        while not self.gone:
            await asyncio.sleep(_PERIOD)
            try:
                lost = self.stored.current.epoch and await self._lost_something(jobs.busy)
                if lost and isinstance(decide(self._failed, time.monotonic(), _REPAIRS), Restart):
                    await jobs.begin(self._mend, by_command=False)
            except Conflict:
                continue
            except ScepsyError as error:
                _log.warning("the controller could not look: %s", error)

    async def _mend(self, say: OnProgress) -> Applied:
        """A repair that nobody asked for. After it has failed, the next one waits."""
        try:
            return await self.repair(say)
        except ScepsyError as error:
            _log.warning("what is lost could not be replaced: %s", error)
            failure = Failure(at=time.monotonic(), served=0.0, why=str(error))
            self._failed = [*self._failed, failure][-_FAILURES_KEPT:]
            raise

    async def _lost_something(self, busy: bool) -> bool:
        """Whether a replica is lost that can be replaced. Fences those on dead nodes."""
        current = self.stored.current
        living = alive(await self.api.nodes()).keys()
        dead = frozenset(one.name for one in current.replicas if not one.nodes <= living)
        # First those on dead nodes: to ask the others takes time.
        if dead != self._fenced:
            self._failed = []
        gateway_moves = await self._gateway_moves(living)
        if dead != self._fenced or gateway_moves or await self.runtime.follow():
            serving = [one.name for one in current.replicas if one.phase == "serving"]
            await self.runtime.route_to(serving)
            self._fenced = dead
        if busy or living == self._refused_on:
            return False
        if dead or not current.settled:
            return True
        observed = await self.runtime.observe()
        return any(
            one.failed and one.name not in self.runtime.given_up for one in observed.replicas
        )

    async def _gateway_moves(self, living: Collection[str]) -> bool:
        """Whether the node that the gateway was put on is lost: the next routes then start it on
        the first living node of the plan, or else on the head's, at the same port.
        """
        current = self.stored.current
        lost = current.gateway_node
        if not lost or lost in living:
            return False
        names_of_plan = (node.name for node in current.plan.cluster.nodes)
        node = next((name for name in names_of_plan if name in living), "")
        await self.stored.change(gateway_node=node)
        await self.api.kill(names.gateway_name(current.name))  # it would wait for its node
        await self._note(
            f"node {lost} of the gateway is lost; the gateway has moved to {node or 'the head'}: "
            "point programs at its new address"
        )
        return True

    def _proposed(self, asked: Request, say: OnProgress) -> Change:
        """The change that is asked for, of a copy of the state. What goes on beside it writes the
        state, which must not have a plan that may yet be refused.
        """
        current = self.stored.current
        copy = StoredDeployment(self.api, _as_asked(asked, current))
        runtime = replace(self.runtime, stored=copy)
        return _change(runtime, current.plan, asked.grace, asked.allow_dip, say)

    async def _run(self, change: Change) -> Applied:
        await self.stored.change()
        await self.reservations.take(change.wanted.plan.placement, await self.api.nodes())
        await change.run()
        serving = [one.name for one in self.stored.current.replicas]
        await self.runtime.route(serving, ())
        change.say("ready: gateway")
        parts = [part for one in change.wanted.replicas for part in one.slices]
        await self.reservations.give_back(keep=[(part.node, part.gpu) for part in parts])
        times = change.done.start_seconds
        await self.stored.change(
            **reached(self.stored.current, times, _loaded(self.stored.current)), notes=()
        )
        self._failed = []
        url = (await self.runtime.gateway.report()).url
        current = self.stored.current
        return change.done.applied(current.name, current.epoch, url, serving)

    async def _undo(self, before: RayDeployment, say: OnProgress) -> None:
        if before.epoch == 0:
            await self._stop_all()
            return
        say("the change failed: going back to the plan before it")
        failed = self.stored.current
        asked = msgspec.structs.replace(failed, plan=before.plan, options=before.options)
        self.stored.current = accepted(failed, asked, _loaded(failed))
        with suppress(ScepsyError):
            await self._run(_change(self.runtime, failed.plan, 0.0, True, say))

    async def _stop_all(self) -> int:
        """Stops every engine and the gateway. The engines first: the gateway then tells the callers
        of calls that are cut. Returns how many there were.
        """
        self.gone = True
        replicas = self.stored.current.replicas
        await asyncio.gather(*(self.runtime.end(one) for one in replicas))
        await self.runtime.gateway.stop()
        await self.reservations.give_back()
        await self.stored.remove()
        return len(replicas) + 1

    async def _note(self, sentence: str) -> None:
        if sentence not in self.stored.current.notes:
            await self.stored.change(notes=(*self.stored.current.notes, sentence))

    def _check_gateway(self, current: RayDeployment, asked: Request) -> None:
        """Raises BadInput where the gateway that runs is another one than is asked for."""
        if not current.epoch:
            return
        if asked.port and asked.port != current.port:
            difference = f"listens on port {current.port}, not {asked.port}"
        elif asked.traces and asked.traces != current.traces:
            difference = f"records traces into {current.traces or 'no folder'}, not {asked.traces}"
        elif asked.gateway_node and asked.gateway_node != current.gateway_node:
            difference = f"runs on {current.gateway_node or 'the head'}, not {asked.gateway_node}"
        else:
            return
        raise BadInput(
            f"the gateway of deployment {current.name!r} runs and {difference}; "
            "take the deployment down first, or leave this option out"
        )

    async def _check_gpus(self, plan: Plan) -> None:
        """Raises BadInput where the cluster has not the plan's GPUs, or others have them."""
        ours: dict[str, float] = {}
        holders: dict[str, list[str]] = {}
        for deployment in await all_deployments(self.api):
            for one in deployment.replicas:
                for resource, share in names.gpu_resources(one.replica).items():
                    if deployment.name == self.stored.current.name:
                        ours[resource] = ours.get(resource, 0.0) + share
                    else:
                        holder = f"{one.name} of deployment {deployment.name!r}"
                        holders.setdefault(resource, []).append(holder)
        nodes, available = await self.api.nodes(), await self.api.available()
        wrong = missing_gpus(plan.placement, nodes, available, ours, holders)
        if wrong is not None:
            raise BadInput(wrong)


def _as_asked(asked: Request, current: RayDeployment) -> RayDeployment:
    """The state once the plan that is asked for is accepted."""
    wanted = msgspec.structs.replace(
        current,
        plan=asked.plan,
        options=asked.options,
        port=asked.port or current.port,
        traces=asked.traces or current.traces,
        gateway_node=asked.gateway_node or current.gateway_node,
        policy=asked.policy,
    )
    # Neither the gateway nor how patient restarts are makes another plan of it.
    same_engines = wanted.plan == current.plan and wanted.options == current.options
    return accepted(wanted if same_engines else current, wanted, _loaded(current))


def _loaded(current: RayDeployment) -> list[Replica]:
    """The replicas whose engines have been ready."""
    return [one.replica for one in current.replicas if one.url]


def _change(
    runtime: RayRuntime, before: Plan, grace: float, allow_dip: bool, say: OnProgress
) -> Change:
    """The change to the plan in the runtime's state, which served `before` until now."""
    return change_to(
        runtime.stored.current,
        runtime,
        before=before,
        grace=grace,
        allow_dip=allow_dip,
        say=say,
    )


def _check_shares(plan: Plan) -> None:
    """Raises BadInput where an engine cannot get its parts of GPUs."""
    engines: dict[str, EngineKind] = {llm.name: llm.engine for llm in plan.llms}
    for replica in plan.placement.replicas:
        gpu_type = plan.cluster.nodes[0].gpu_type
        wrong = why_not_shared(replica, engines[replica.llm], gpu_type)
        if wrong is not None:
            raise BadInput(wrong)


def controller_for(api: RayApi, current: RayDeployment) -> Controller:
    """The controller of a deployment."""
    return Controller(RayRuntime(StoredDeployment(api, current)))
