"""The security context of every pod that Scepsy makes: that of the Pod Security Standard
`restricted`, and a root file system that cannot be written to (pure).

Each call makes a new table, since writers of YAML replace tables that are the same by references.
"""

from __future__ import annotations

from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions


def container_security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security(options: RenderOptions, *, owns_volumes: bool = False) -> Object:
    """With `owns_volumes`, the group of the user may write to the volumes of the pod."""
    group = {"fsGroup": options.user} if owns_volumes else {}
    return {
        "runAsNonRoot": True,
        "runAsUser": options.user,
        "runAsGroup": options.user,
        **group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
