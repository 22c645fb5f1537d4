"""Pods and workloads that were deleted and do not go (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.resources import title
from scepsy.errors import Conflict, Unreachable

Json = dict[str, Any]


def stuck(objects: Iterable[Json], waited: float) -> Conflict | Unreachable:
    """The error for objects that are there `waited` seconds after they were deleted: what keeps
    them, and what to do. Those that others hold by a finalizer come first.
    """
    going = list(objects)
    held = [text for one in going for text in _held(one, waited)]
    if held:
        return Conflict("; ".join(held))
    silent = [_not_ended(one, waited) for one in going]
    return Unreachable("; ".join(silent))


def _held(one: Json, waited: float) -> Iterator[str]:
    finalizers = part(one, "metadata").get("finalizers") or ()
    if not finalizers:
        return
    meta = one["metadata"]
    names = ", ".join(map(repr, finalizers))
    yield (
        f"{title(one)} was deleted {waited:g} s ago, and the finalizer {names} of somebody else "
        "keeps it: ask who set it to remove it, or remove it with `kubectl -n "
        f"{meta['namespace']} patch {one['kind'].lower()} {meta['name']} --type merge -p "
        """'{"metadata":{"finalizers":null}}'`, and run the command again"""
    )


def _not_ended(one: Json, waited: float) -> str:
    node = part(one, "spec").get("nodeName")
    where = f" on node {node}" if node else ""
    return (
        f"{title(one)}{where} was deleted {waited:g} s ago and has not ended; see `kubectl -n "
        f"{one['metadata']['namespace']} describe {one['kind'].lower()} "
        f"{one['metadata']['name']}`, and run the command again"
    )
