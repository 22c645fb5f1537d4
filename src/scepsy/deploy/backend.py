"""What every backend promises (local, Ray, Kubernetes), and what the loop that executes waves needs
from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from scepsy.core.plan import Plan, Replica
from scepsy.core.record import Record
from scepsy.deploy.changes.observed import Observed
from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.status import Status
from scepsy.gateway.config import GRACE

OnProgress = Callable[[str], None]
"""Called with one plain sentence for each thing that was done."""


class CutCalls(Record, frozen=True, kw_only=True):
    """Calls that were in flight at a replica when it was stopped, and that no other replica could
    serve.
    """

    replica: str
    calls: int


class Applied(Record, frozen=True, kw_only=True):
    """What `Backend.apply` or `Backend.repair` did.

    Attributes:
        name: name of the deployment.
        epoch: number of the plan.
        url: the gateway's address, without /v1.
        replicas: names of the replicas that serve now.
        started, stopped: names of replicas.
        waves: the sentences that said what each wave did.
        cut: calls that did not finish within the grace, and those that a replica which died or hung
            during the change has left unanswered; empty where none was cut.
    """

    name: str
    epoch: int
    url: str
    replicas: tuple[str, ...]
    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    waves: tuple[str, ...] = ()
    cut: tuple[CutCalls, ...] = ()


def cut_calls(left: Mapping[str, int]) -> tuple[CutCalls, ...]:
    """The calls that were `left` at each replica when it was stopped."""
    return tuple(CutCalls(replica=name, calls=left[name]) for name in sorted(left))


class TakenDown(Record, frozen=True, kw_only=True):
    """What `Backend.down` did. `stopped` counts processes, or pods, that ran; `cut` is as in
    `Applied`.
    """

    name: str
    stopped: int
    cut: tuple[CutCalls, ...] = ()


class Backend(Protocol):
    """Deployments on one kind of machinery. All state lives there, so that another process, started
    later, can go on after this one was killed at any point.
    """

    async def apply(
        self,
        plan: Plan,
        *,
        name: str = "default",
        port: int = 0,
        traces: Path | None = None,
        grace: float = GRACE,
        allow_dip: bool = False,
        on_progress: OnProgress = ...,
    ) -> Applied:
        """Brings deployment `name` to `plan`, wave by wave, and returns when every replica of the
        plan is ready and routed to, and no other one is left.

        The plan gets a new epoch where it changes anything. Calls have `grace` seconds to finish
        before their replica stops. Port 0 and traces None keep what the deployment has; a new one
        gets a free port and records nothing.

        A first deployment that fails leaves nothing running. A change that fails, or whose process
        is killed, leaves a deployment that answers calls where it can; applying again finishes it.

        Raises:
            BadInput: the plan cannot be started, or what is asked for cannot be changed.
            Conflict: another process is changing the deployment.
            CapacityDip: the plan cannot be reached without less capacity than its load needs on the
                way, and `allow_dip` is false.
            EngineFailed, PortInUse: an engine or the gateway did not start.
            Unreachable: the backend does not answer.
        """
        ...

    async def preview(
        self, plan: Plan, *, name: str = "default", allow_dip: bool = False
    ) -> tuple[str, ...]:
        """What `apply` would do if nothing failed: a sentence or more for each wave. Changes
        nothing. Raises as `apply` does; the error has what it would do (`would`), where that can be
        said.
        """
        ...

    async def status(self, name: str = "default") -> Status:
        """What the deployment is doing. Raises NotFound where there is none of that name."""
        ...

    async def repair(self, name: str = "default", *, on_progress: OnProgress = ...) -> Applied:
        """Replaces what is dead or hung, and finishes an interrupted change: applies the plan that
        was accepted last once more. Raises as `apply` does, and NotFound.
        """
        ...

    async def down(self, name: str = "default", *, grace: float = GRACE) -> TakenDown:
        """Accepts no new calls, waits at most `grace` seconds for those in flight, stops everything
        and forgets the deployment. Raises NotFound, Conflict.
        """
        ...


class Runtime(Protocol):
    """One deployment on a backend, as the loop that executes waves sees it. Each method returns
    when the thing is done, and may be called again after an interruption. Replicas are named by
    `Replica.replica`.
    """

    async def observe(self) -> Observed:
        """What runs now, as the pure `next_wave` wants it. Asks the machinery and the gateway, not
        memory alone.
        """
        ...

    async def calls(self) -> GatewayCounts:
        """The calls of all gateways, as they count them; none where no gateway answers."""
        ...

    async def start(self, replica: Replica) -> None:
        """Starts one engine with the deployment's epoch and waits until it is ready. It gets no
        calls yet. Raises EngineFailed or PortInUse; then nothing of it is left.
        """
        ...

    async def route(self, names: Collection[str], joining: Collection[str]) -> None:
        """The gateway sends new calls to exactly these replicas from now on, and to hosted
        endpoints. Those of them that are `joining` belong to the wanted epoch from now on. Starts
        the gateway where none runs.
        """
        ...

    async def drain(self, names: Collection[str], grace: float) -> Mapping[str, int]:
        """Waits until none of these replicas, which are not routed to any more, has a call in
        flight by the gateway's count, for at most `grace` seconds. Returns the calls still in
        flight for each replica that has any: stopping it cuts them.
        """
        ...

    async def stop(self, names: Collection[str]) -> None:
        """Stops these engines with all their child processes, and waits until they have gone."""
        ...
