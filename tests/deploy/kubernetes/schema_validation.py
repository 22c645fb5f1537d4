"""Strict validation against the schemas that Kubernetes publishes for each version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kubernetes_validate

VERSIONS = ("1.25", "1.29", "1.34", "1.37")
_SINCE = {
    "resource.k8s.io/v1": (1, 34),
    "scheduling.k8s.io/v1beta1": (1, 37),
}
"""The first version that has a group."""

_OWN = ("k8s.io", "apps", "policy", "v1")


def validate(objects: Iterable[dict[str, Any]]) -> int:
    """Validates objects of Kubernetes' own groups at every version that has them; returns how many
    validations there were. Raises for the first that fails.
    """
    count = 0
    for one in objects:
        group = one["apiVersion"].partition("/")[0]
        if not group.endswith(_OWN):
            continue
        for version in VERSIONS:
            if tuple(map(int, version.split("."))) < _since(one):
                continue
            kubernetes_validate.validate(one, version, strict=True)
            count += 1
    return count


def _since(one: dict[str, Any]) -> tuple[int, ...]:
    spec = one.get("spec", {}).get("template", {}).get("spec", {})
    needs = [_SINCE.get(one["apiVersion"], (1, 25))]
    if "resourceClaims" in spec:
        needs.append(_SINCE["resource.k8s.io/v1"])
    if "schedulingGroup" in spec:
        needs.append(_SINCE["scheduling.k8s.io/v1beta1"])
    return max(needs)
