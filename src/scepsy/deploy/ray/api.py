"""The parts of Ray that we use, with our errors. Ray is imported only when it is needed."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scepsy.deploy.ray import names
from scepsy.deploy.ray.nodes import RayNode, nodes_of
from scepsy.errors import NotFound, ScepsyError, Unreachable

T = TypeVar("T")

ANSWER_WITHIN = 30.0
"""Seconds that Ray's head, or an actor, has to answer."""

_KEYS = b"scepsy"
"""The namespace of our keys in Ray's store."""


class ActorGone(Exception):
    """There is no such actor, or it has died for good."""


class ActorSilent(Exception):
    """The actor does not answer now: it is being restarted or moved, or its node is not reached."""


def ray_module(name: str = "ray") -> Any:
    """A module of Ray, which has no complete types. Raises NotFound where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise NotFound(
            "the backend `ray` needs Ray, which is not installed: pip install 'scepsy[ray]'"
        ) from missing


def node_address() -> str:
    """The address of the node on which this process runs, as other nodes reach it."""
    return str(ray_module("ray.util").get_node_ip_address())


@dataclass(frozen=True, slots=True)
class ActorOptions:
    """How an actor is made.

    Attributes:
        name: its name, under which any process finds it.
        resources: what it takes of its node's custom resources.
        options: further options of Ray.
    """

    name: str
    resources: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


class RayApi:
    """The cluster that this process is connected to. All waiting is done in threads."""

    async def nodes(self) -> tuple[RayNode, ...]:
        """All nodes, dead ones included. Raises Unreachable."""
        return nodes_of(await self.in_thread(ray_module().nodes))

    async def available(self) -> Mapping[str, float]:
        """The resources of living nodes that nobody has taken. Raises Unreachable."""
        return await self.in_thread(ray_module().available_resources)

    async def get(self, key: str) -> bytes | None:
        """A value of the cluster's store. Raises Unreachable."""
        store = ray_module("ray.experimental.internal_kv")
        return await self.in_thread(
            lambda: store._internal_kv_get(key.encode(), namespace=_KEYS)  # noqa: SLF001
        )

    async def put(self, key: str, value: bytes) -> None:
        """Writes a value, which survives a restart of the head. Raises Unreachable."""
        store = ray_module("ray.experimental.internal_kv")
        await self.in_thread(
            lambda: store._internal_kv_put(key.encode(), value, True, namespace=_KEYS)  # noqa: SLF001
        )

    async def delete(self, key: str) -> None:
        """Removes a value. Raises Unreachable."""
        store = ray_module("ray.experimental.internal_kv")
        await self.in_thread(
            lambda: store._internal_kv_del(key.encode(), namespace=_KEYS)  # noqa: SLF001
        )

    async def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`. Raises Unreachable."""
        store = ray_module("ray.experimental.internal_kv")
        found = await self.in_thread(
            lambda: store._internal_kv_list(prefix.encode(), namespace=_KEYS)  # noqa: SLF001
        )
        return sorted(key.decode() for key in found or ())

    async def create(self, actor: type, options: ActorOptions, *arguments: object) -> Any:
        """A handle to the detached actor of this name, which is made where there is none. It need
        not run yet. Raises Unreachable.
        """

        def made() -> Any:
            return (
                ray_module()
                .remote(actor)
                .options(
                    name=options.name,
                    namespace=names.NAMESPACE,
                    lifetime="detached",
                    get_if_exists=True,
                    num_cpus=0,
                    resources=dict(options.resources),
                    max_restarts=-1,
                    max_concurrency=8,
                    **options.options,
                )
                .remote(*arguments)
            )

        return await self.in_thread(made)

    async def find(self, name: str) -> Any:
        """A handle to the actor of this name. Raises ActorGone, Unreachable."""
        try:
            return await self.in_thread(
                lambda: ray_module().get_actor(name, namespace=names.NAMESPACE)
            )
        except ValueError as error:
            raise ActorGone(name) from error

    async def ask(
        self, handle: Any, method: str, *arguments: object, within: float = ANSWER_WITHIN
    ) -> Any:
        """What the actor's method returns. Raises ActorGone, ActorSilent, or the ScepsyError that
        it raised.
        """
        errors = ray_module("ray.exceptions")
        try:
            reference = await asyncio.to_thread(lambda: getattr(handle, method).remote(*arguments))
            waiting = asyncio.wrap_future(reference.future())
            waiting.add_done_callback(_noticed)
            # Not cancelled where it takes too long: Ray's client does not bear cancelled futures.
            return await asyncio.wait_for(asyncio.shield(waiting), within)
        except errors.ActorDiedError as error:
            raise ActorGone(_first_line(error)) from error
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, ScepsyError) else error) from None
        except Exception as error:  # Ray's client raises bare ones where its connection is lost
            raise ActorSilent(_first_line(error)) from error

    async def kill(self, name: str) -> None:
        """Ends the actor of this name for good, where there is one, and waits until its name is
        free. Raises Unreachable.
        """
        try:
            handle = await self.find(name)
        except ActorGone:
            return
        await self.in_thread(lambda: ray_module().kill(handle, no_restart=True))
        for _ in range(100):
            try:
                await self.find(name)
            except ActorGone:
                return
            await asyncio.sleep(0.1)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What `work` returns, which asks Ray and waits. Raises Unreachable, and ValueError as Ray
        does.
        """
        try:
            return await asyncio.wait_for(asyncio.to_thread(work), ANSWER_WITHIN)
        except TimeoutError:
            raise Unreachable(
                f"Ray's head has not answered for {ANSWER_WITHIN:g} s; see whether it runs with "
                "`ray status` on its machine"
            ) from None
        except ValueError:  # there is no such actor
            raise
        except Exception as error:  # Ray's client raises bare ones where its connection is lost
            raise Unreachable(f"Ray's head does not answer: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _noticed(answer: asyncio.Future[Any]) -> None:
    """Answers that come too late are nobody's, and so are their errors."""
    if not answer.cancelled():
        answer.exception()
