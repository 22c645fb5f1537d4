"""What a deployment's cluster remembers of it: a ConfigMap (pure)."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from scepsy.core.plan import Replica
from scepsy.deploy.accepted import AcceptedPlan, accepted
from scepsy.deploy.kubernetes.objects.options import RenderOptions
from scepsy.errors import BadInput

Json = dict[str, Any]

_PLAIN_MAX = 500_000
"""Bytes of a plan that is stored as text. An object of a cluster may have 1.5 MB at most."""


class ClusterDeployment(AcceptedPlan, frozen=True, kw_only=True):
    """A deployment on a cluster.

    Attributes:
        options: how its objects are made.
        port: of the gateway's Service.
        seed, python: of the engines' commands.
    """

    options: RenderOptions
    port: int
    seed: int = 0
    python: str = "python3"
    format: int = 1

    @property
    def weights_at_hand(self) -> frozenset[tuple[str, str]]:
        """(node, name of LLM) where weights were loaded and can be loaded again without a download:
        none without a claim that keeps them, since the folder of a pod goes with the pod.
        """
        return frozenset(self.weights if self.options.cache_claim is not None else ())


def state_name(name: str) -> str:
    """The name of the ConfigMap, and of the Lease that a deployer holds."""
    return f"{name}-scepsy"


def packed(state: ClusterDeployment) -> Json:
    """The `data` or `binaryData` of the ConfigMap."""
    text = msgspec.json.format(msgspec.json.encode(state), indent=1)
    if len(text) <= _PLAIN_MAX:
        return {"data": {"deployment.json": text.decode()}}
    zipped = gzip.compress(text, mtime=0)
    return {"binaryData": {"deployment.json.gz": base64.b64encode(zipped).decode()}}


def unpacked(found: Json, title: str) -> ClusterDeployment:
    """The state in a ConfigMap. Raises BadInput where it is damaged, or of a newer version."""
    try:
        if "deployment.json" in (found.get("data") or {}):
            text = found["data"]["deployment.json"].encode()
        else:
            text = gzip.decompress(base64.b64decode(found["binaryData"]["deployment.json.gz"]))
        return msgspec.json.decode(text, type=ClusterDeployment)
    except (KeyError, ValueError, OSError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{title} does not hold a deployment that this version of Scepsy can read: {error}"
        ) from error


def next_state(
    before: ClusterDeployment | None, asked: ClusterDeployment, loaded: Iterable[Replica] = ()
) -> ClusterDeployment:
    """What is asked for, as the state after `before`: with the next epoch, or with the same one
    where nothing changes. `loaded` are the replicas that have loaded their weights.
    """
    if before is None:
        return _of_epoch(asked, 1)
    after = accepted(before, _of_epoch(asked, before.epoch), loaded)
    return _of_epoch(after, after.epoch)


def taken_back(before: ClusterDeployment) -> ClusterDeployment:
    """The state after a change of `before` that failed: its plan again, with a later epoch."""
    return msgspec.structs.replace(_of_epoch(before, before.epoch + 2), settled=False)


def _of_epoch(state: ClusterDeployment, epoch: int) -> ClusterDeployment:
    options = replace(state.options, epoch=epoch)
    return msgspec.structs.replace(state, epoch=epoch, options=options)
