"""The gateway of a deployment inside its cluster, and what it is told (pure)."""

from __future__ import annotations

import base64

import msgspec

from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.drain import LAST, NOTICE
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.objects.options import IMAGES, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.security import container_security, pod_security
from scepsy.deploy.kubernetes.slices import TABLE_KEY, RoutingTable
from scepsy.gateway.access.admin_access import ADMIN_KEY_ENV
from scepsy.gateway.config import GRACE

PORT = 8080
"""The port on which the gateway listens in its pod, and its Service by default."""

ADMIN_PORT = 8081
"""The port of the gateway's metrics and counts in its pod. No Service leads there."""

ADMIN_KEY = "key"
"""The entry of the Secret with the key that the admin port wants."""

# The image has no shell.
_WAIT = ["python3", "-c", f"import time; time.sleep({NOTICE})"]


def gateway_name(options: RenderOptions) -> str:
    return dns_label(f"{options.name}-{labels.GATEWAY}")


def table_name(options: RenderOptions) -> str:
    return dns_label(f"{options.name}-routes")


def admin_secret_name(options: RenderOptions) -> str:
    return dns_label(f"{options.name}-{labels.GATEWAY}-admin")


def admin_secret(options: RenderOptions, key: str) -> Object:
    """The Secret with the key of the admin port."""
    meta = _metadata(options, admin_secret_name(options))
    data = {ADMIN_KEY: base64.b64encode(key.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data}


def key_in(secret: Object | None) -> str | None:
    """The key in such a Secret; None where it has none."""
    try:
        return base64.b64decode((secret or {})["data"][ADMIN_KEY]).decode()
    except (KeyError, TypeError, ValueError):
        return None


def selector(options: RenderOptions) -> dict[str, str]:
    """Selects the gateway's pods."""
    return {**labels.instance(options), labels.COMPONENT: "gateway"}


def table_object(options: RenderOptions, table: RoutingTable) -> Object:
    """The ConfigMap that the gateway follows."""
    text = msgspec.json.format(msgspec.json.encode(table), indent=1).decode()
    meta = _metadata(options, table_name(options))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {TABLE_KEY: text}}


def gateway_objects(options: RenderOptions, port: int) -> tuple[Object, ...]:
    """What runs the gateway: an account that may read what it follows and nothing else, its pod,
    and the Service that programs call.
    """
    name = gateway_name(options)
    meta = _metadata(options, name)
    reads = ("get", "list", "watch")
    rules: list[Object] = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [table_name(options)],
            "verbs": reads,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reads[1:]},
    ]
    role: Object = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    account: Object = {"kind": "ServiceAccount", "name": name, "namespace": options.namespace}
    rbac = "rbac.authorization.k8s.io/v1"
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": role,
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "selector": selector(options),
                "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": selector(options)},
                # The old gateway leaves when the new one is ready, and finishes its calls.
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "template": {
                    "metadata": {"labels": selector(options)},
                    "spec": _pod(options, name),
                },
            },
        },
    )


def _pod(options: RenderOptions, name: str) -> Object:
    probe: Object = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 2}
    command = ["scepsy", "gateway", "--host", "0.0.0.0", "--port", str(PORT)]
    command += ["--kubernetes-deployment", labels.instance(options)[labels.INSTANCE]]
    command += ["--kubernetes-routes", table_name(options)]
    # The API server's proxy, through which a deployer asks, keeps its own Host header.
    command += ["--admin-host", "0.0.0.0", "--admin-port", str(ADMIN_PORT), "--admin-name", "*"]
    command += ["--keys", "off"]  # the namespace decides who may call
    secret = {"name": admin_secret_name(options), "key": ADMIN_KEY}
    command += ["--grace", f"{GRACE:g}"]
    container: Object = {
        "name": "gateway",
        "image": options.images.get("emulated") or IMAGES["emulated"],
        "command": command,
        "env": [{"name": ADMIN_KEY_ENV, "valueFrom": {"secretKeyRef": secret}}],
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "lifecycle": {"preStop": {"exec": {"command": _WAIT}}},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        "resources": {
            "requests": {"cpu": "500m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod: Object = {
        "serviceAccountName": name,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": NOTICE + int(GRACE) + LAST,
        "securityContext": pod_security(options),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    if options.pull_secret is not None:
        pod["imagePullSecrets"] = [{"name": options.pull_secret}]
    return pod


def _metadata(options: RenderOptions, name: str) -> Object:
    every = {**selector(options), "app.kubernetes.io/managed-by": "scepsy"}
    return {"name": name, "namespace": options.namespace, "labels": every}
