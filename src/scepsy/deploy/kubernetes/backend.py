"""The Kubernetes backend: a workload per replica, a gateway, and all state in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from scepsy.core.plan import Plan
from scepsy.deploy.accepted import reached
from scepsy.deploy.apply import Change, change_to
from scepsy.deploy.backend import Applied, OnProgress, TakenDown, cut_calls
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.kubernetes.api import ApiRefusal, Json, connected
from scepsy.deploy.kubernetes.deployment_state import (
    ClusterDeployment,
    next_state,
    state_name,
    taken_back,
    unpacked,
)
from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.gateway_objects import PORT, admin_secret
from scepsy.deploy.kubernetes.lease import held
from scepsy.deploy.kubernetes.object_diff import differences
from scepsy.deploy.kubernetes.objects import RenderOptions, labels
from scepsy.deploy.kubernetes.objects.drain import LAST, NOTICE
from scepsy.deploy.kubernetes.observing import lost_nodes
from scepsy.deploy.kubernetes.plan_objects import all_objects, shared_objects, state_object
from scepsy.deploy.kubernetes.reading import ClusterReading
from scepsy.deploy.kubernetes.refusals import explained
from scepsy.deploy.kubernetes.resources import ApiVersions, collection, title
from scepsy.deploy.kubernetes.runtime import KubernetesRuntime
from scepsy.deploy.kubernetes.statuses import status_of
from scepsy.deploy.kubernetes.stuck import stuck
from scepsy.deploy.kubernetes.writing import MANAGED_BY, Objects
from scepsy.deploy.routes import hosted_routes
from scepsy.deploy.startable import check_startable
from scepsy.deploy.status import Status
from scepsy.errors import BadInput, Conflict, NotFound, ScepsyError, Unreachable
from scepsy.gateway.access.admin_access import new_key
from scepsy.gateway.config import GRACE, check_routes

PATIENCE = 120.0
"""Seconds that an engine may lack a node, an image or a quota, unless told otherwise."""

_REST_TIMEOUT = 15.0
"""Seconds to wait for the other pods to go, where some were waited for in vain."""


def _silent(_: str) -> None: ...


@dataclass(slots=True, kw_only=True)
class KubernetesBackend:
    """Deployments on one cluster. See `Backend` for what it promises.

    Attributes:
        kubeconfig, context: the cluster and the user; None for the usual ones.
        namespace: of all objects; None for that of the context.
        options: how objects are made; its name, namespace and epoch are not used.
        seed, python: of the engines' commands.
        patience: seconds that an engine may lack a node, an image or a quota.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    options: RenderOptions = field(default_factory=RenderOptions)
    seed: int = 0
    python: str = "python3"
    patience: float = PATIENCE

    async def apply(
        self,
        plan: Plan,
        *,
        name: str = "default",
        port: int = 0,
        traces: Path | None = None,
        grace: float = GRACE,
        allow_dip: bool = False,
        on_progress: OnProgress = _silent,
    ) -> Applied:
        """See `Backend.apply`. Before anything is changed, the server checks every object without
        writing it: rights, quotas, versions, and fields that others manage.
        """
        if traces is not None:
            raise BadInput(
                "--traces is a folder of this machine, and the gateway runs in the cluster; record "
                "with the gateway of the Helm chart (traces.enabled) instead"
            )
        check_startable(plan)
        check_routes(hosted_routes(plan))
        async with self._objects(name) as objects, self._changing(objects):
            before = await self._load(objects)
            state = await self._next(before, plan, objects, port)
            objects = replace(objects, options=state.options)
            runtime = KubernetesRuntime(objects, state, self.patience)
            await objects.check([*all_objects(runtime), await self._secret(runtime)])
            change = await self._change(runtime, before, grace, allow_dip, on_progress)
            await change.check()
            try:
                return await self._run(runtime, change)
            except BaseException:
                await asyncio.shield(self._undo(objects, before, on_progress))
                raise

    async def preview(
        self, plan: Plan, *, name: str = "default", allow_dip: bool = False
    ) -> tuple[str, ...]:
        """See `Backend.preview`. After the waves: what the server says would become of each object,
        by a dry run.
        """
        check_startable(plan)
        async with self._objects(name) as objects:
            before = await self._load(objects)
            state = await self._next(before, plan, objects, 0)
            objects = replace(objects, options=state.options)
            runtime = KubernetesRuntime(objects, state, self.patience)
            change = await self._change(runtime, before, GRACE, allow_dip, _silent)
            told: list[str] = []
            refused: list[ScepsyError] = []
            try:
                told += await change.preview()
            except ScepsyError as refusal:
                refused.append(refusal)
                told += refusal.would
            for found in await objects.tried(all_objects(runtime)[1:]):
                if isinstance(found, ScepsyError):
                    refused.append(found)
                else:
                    told += differences(*found)
            if refused:
                told += (f"refused: {one}" for one in refused[1:])
                raise refused[0].after(told)
            return tuple(told)

    async def status(self, name: str = "default") -> Status:
        """See `Backend.status`."""
        async with self._objects(name) as objects:
            state = await self._known(objects)
            runtime = KubernetesRuntime(replace(objects, options=state.options), state, 0.0)
            reading = runtime.reading
            view, gateways, counts, url = await asyncio.gather(
                reading.view(), reading.gateway_pods(), reading.counts(), reading.gateway_url()
            )
            silent = await reading.silent(view)
            return status_of(name, state, view, gateways, counts, url, silent)

    async def repair(self, name: str = "default", *, on_progress: OnProgress = _silent) -> Applied:
        """See `Backend.repair`. Nothing is taken back where it fails."""
        async with self._objects(name) as objects, self._changing(objects):
            before = await self._known(objects)
            objects = replace(objects, options=before.options)
            state = msgspec.structs.replace(before, settled=False)
            runtime = KubernetesRuntime(objects, state, self.patience)
            change = await self._change(runtime, before, GRACE, True, on_progress)
            return await self._run(runtime, change)

    async def down(self, name: str = "default", *, grace: float = GRACE) -> TakenDown:
        """See `Backend.down`. Only objects with the labels of the deployment are deleted."""
        async with self._objects(name) as objects:
            await self._known(objects)
            async with self._changing(objects):
                state = await self._known(objects)
                objects = replace(objects, options=state.options)
                return await self._down(KubernetesRuntime(objects, state, self.patience), grace)

    @asynccontextmanager
    async def _objects(self, name: str) -> AsyncGenerator[Objects]:
        async with connected(self.kubeconfig, self.context, self.namespace) as api:
            try:
                versions = ApiVersions.of(await api.get("/apis"))
            except ApiRefusal as refusal:
                raise explained(refusal, f"cluster {api.url}") from refusal
            options = replace(self.options, name=name, namespace=api.namespace, ordered=False)
            yield Objects(api, versions, options)

    @asynccontextmanager
    async def _changing(self, objects: Objects) -> AsyncGenerator[None]:
        """Holds the deployment's Lease. One that was made for a deployment that never came to be is
        removed again.
        """
        options = objects.options
        name = state_name(options.name)
        own = {**labels.instance(options), MANAGED_BY: "scepsy"}
        meta: Json = {"name": name, "namespace": options.namespace, "labels": own}
        path = f"{collection('coordination.k8s.io/v1', 'Lease', options.namespace)}/{name}"

        async def exists() -> bool:
            return await self._load(objects) is not None

        async with held(objects.api, path, meta, keep=exists):
            yield

    async def _load(self, objects: Objects) -> ClusterDeployment | None:
        name = state_name(objects.options.name)
        found = await objects.find("v1", "ConfigMap", name)
        return None if found is None else unpacked(found, f"ConfigMap {name}")

    async def _known(self, objects: Objects) -> ClusterDeployment:
        state = await self._load(objects)
        if state is None:
            options = objects.options
            raise NotFound(
                f"there is no deployment {options.name!r} in namespace {options.namespace} of "
                f"{objects.api.url}; name another with --name or --namespace"
            )
        return state

    async def _next(
        self, before: ClusterDeployment | None, plan: Plan, objects: Objects, port: int
    ) -> ClusterDeployment:
        asked = ClusterDeployment(
            plan=plan,
            epoch=1,
            options=objects.options,
            port=port or (before.port if before is not None else PORT),
            seed=self.seed,
            python=self.python,
        )
        view = await ClusterReading(objects).view()
        return next_state(before, asked, [one.replica for one in view.seen if one.ready])

    async def _change(
        self,
        runtime: KubernetesRuntime,
        before: ClusterDeployment | None,
        grace: float,
        allow_dip: bool,
        say: OnProgress,
    ) -> Change:
        state = runtime.state
        change = change_to(
            state,
            runtime,
            before=state.plan if before is None else before.plan,
            grace=grace,
            allow_dip=allow_dip,
            say=say,
        )
        return replace(change, limits=await self._present(runtime, change.limits))

    async def _present(self, runtime: KubernetesRuntime, limits: Limits) -> Limits:
        """The limits without the GPUs of nodes that are not there or do not answer."""
        nodes = await runtime.reading.nodes()
        if not nodes:
            return limits
        label, lost = runtime.objects.options.node_label, lost_nodes(nodes)
        there = {
            part(node, "metadata", "labels").get(label)
            for node in nodes
            if node["metadata"]["name"] not in lost
        }
        kept = {gpu: room for gpu, room in limits.gpus.items() if gpu[0] in there}
        return replace(limits, gpus=kept)

    async def _run(self, runtime: KubernetesRuntime, change: Change) -> Applied:
        state, objects = runtime.state, runtime.objects
        secret = await self._secret(runtime)
        first, *others = shared_objects(state)
        shared = (first, secret, *others)
        for one in shared:
            await objects.apply(one)
        await change.run()
        view = await runtime.reading.view()
        serving = [one.replica.replica for one in view.seen]
        await runtime.route(serving, ())
        change.say("ready: gateway")
        await self._prune(runtime, shared)
        done = msgspec.structs.replace(
            state, **reached(state, change.done.start_seconds, [one.replica for one in view.seen])
        )
        await objects.apply(state_object(done))
        url = await runtime.reading.gateway_url()
        return change.done.applied(state.options.name, state.epoch, url, serving)

    async def _secret(self, runtime: KubernetesRuntime) -> Json:
        """The Secret with the gateway's admin key. A key that is there stays: pods that run have
        it.
        """
        return admin_secret(runtime.objects.options, await runtime.reading.admin_key() or new_key())

    async def _prune(self, runtime: KubernetesRuntime, shared: tuple[Json, ...]) -> None:
        """Deletes shared objects that only earlier plans needed."""
        view, table = await runtime.reading.view(), runtime.table_title
        keep = {title(one) for one in (*shared, *view.workloads)}
        await runtime.objects.delete_all({*keep, table})

    async def _undo(
        self, objects: Objects, before: ClusterDeployment | None, say: OnProgress
    ) -> None:
        """Back to the plan before a change that failed; nothing is left of a first deployment."""
        if before is None:
            with suppress(ScepsyError):
                await _delete_everything(objects)
                await _gone(objects, self.patience)
            return
        say("the change failed: going back to the plan before it")
        state = taken_back(before)
        runtime = KubernetesRuntime(replace(objects, options=state.options), state, self.patience)
        with suppress(ScepsyError):
            await self._run(runtime, await self._change(runtime, before, 0.0, True, say))

    async def _down(self, runtime: KubernetesRuntime, grace: float) -> TakenDown:
        reading = runtime.reading
        view = await reading.view()
        await runtime.tell(msgspec.structs.replace(view.table, closed=True))
        left = await runtime.closed(grace)
        pods = len(view.pods) + len(await reading.gateway_pods())
        patience = self.patience
        try:
            # The engines first: the gateway then tells the callers of calls that are cut.
            await runtime.stop([one.replica.replica for one in view.seen])
        except (Conflict, Unreachable):
            patience = _REST_TIMEOUT  # what is left is told when the rest has gone
        await _delete_everything(runtime.objects)
        await _gone(runtime.objects, patience)
        return TakenDown(name=runtime.objects.options.name, stopped=pods, cut=cut_calls(left))


async def _delete_everything(objects: Objects) -> None:
    """Deletes every object of the deployment. The Secret by its name, so that a deployer needs no
    right to list Secrets.
    """
    await objects.delete_all()
    await objects.delete(admin_secret(objects.options, ""))


async def _gone(objects: Objects, patience: float) -> None:
    """Waits until no pod of the deployment is left. Pods do not have the label of who manages them.
    Raises Conflict or Unreachable for those that are left `patience` seconds after a gateway
    without calls has ended.
    """
    own = ",".join(f"{key}={value}" for key, value in labels.instance(objects.options).items())
    wait = patience + NOTICE + LAST
    until = asyncio.get_running_loop().time() + wait
    while pods := await objects.list("v1", "Pod", own):
        if asyncio.get_running_loop().time() > until:
            left = stuck(pods, wait)
            raise type(left)(f"{left}. All else of the deployment was removed")
        await asyncio.sleep(0.5)
