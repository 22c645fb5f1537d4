"""The command of a container as a process of this machine (pure)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

_PYTHON = ("python", "python3", "/usr/bin/python3", "/usr/local/bin/python")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def argv(container: Mapping[str, Any], address: str, places: Mapping[str, str]) -> list[str]:
    """The command line. A process has no network and no file system of its own: the pod's address
    stands in for 0.0.0.0, and folders of this machine (`places`) for the container's mounts.

    Python is this interpreter, and the command `scepsy` this version of it.
    """
    words = [*container.get("command", ()), *container.get("args", ())]
    env = {one["name"]: one.get("value", "") for one in container.get("env", ())}
    words = [_REFERENCE.sub(lambda found: env.get(found[1], found[0]), word) for word in words]
    words = [address if word == "0.0.0.0" else here(word, places) for word in words]
    if words and words[0] in _PYTHON:
        return [sys.executable, *words[1:]]
    if words and words[0] == "scepsy":
        return [sys.executable, "-m", "scepsy", *words[1:]]
    return words


def here(text: str, places: Mapping[str, str]) -> str:
    """`text` with every mount path replaced by the folder that stands in for it."""
    if not places:
        return text
    paths = sorted(places, key=len, reverse=True)
    pattern = "(?<![\\w./-])(" + "|".join(map(re.escape, paths)) + r")(?![\w-])"
    return re.sub(pattern, lambda found: places[found[1]], text)


def secrets_of(container: Mapping[str, Any]) -> set[str]:
    """Names of the Secrets from which the container has variables."""
    sources = (one.get("valueFrom", {}).get("secretKeyRef") for one in container.get("env", ()))
    return {source["name"] for source in sources if source}


def environment(
    container: Mapping[str, Any],
    pod: Mapping[str, Any],
    address: str,
    places: Mapping[str, str],
    secrets: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    """The variables in the container's `env`, with the fields of the pod and the entries of
    `secrets` that it asks for.
    """
    found: dict[str, str] = {}
    meta = pod["metadata"]
    fields = {
        "status.podIP": address,
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"]["nodeName"],
    }
    for one in container.get("env", ()):
        source = one.get("valueFrom", {})
        if secret := source.get("secretKeyRef"):
            found[one["name"]] = secrets[secret["name"]][secret["key"]]
            continue
        named = source.get("fieldRef")
        value = fields.get(named["fieldPath"], "") if named else one.get("value", "")
        found[one["name"]] = here(value, places)
    return found
