"""Each rule that a schema misses: objects are spoilt one by one, and the problem is named."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest
from rendered_plans import plan_of, rendered, replica

from scepsy.deploy.kubernetes.objects import check
from scepsy.deploy.kubernetes.objects.pod_rules import quantity

PLAN = plan_of(
    *(replica(f"judge-{index}", "n2", (0,), 0.5) for index in range(2)),
    replica("generator-0", "n1", (0, 1)),
)


def objects() -> dict[str, dict[str, Any]]:
    found = copy.deepcopy(rendered(PLAN).objects)
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


DEPLOYMENT = "Deployment/default-generator-0"
SPOILT = {
    "its selector does not select its own pods": (
        DEPLOYMENT,
        "spec.template.metadata.labels.scepsy/replica",
        "other",
    ),
    "nvidia.com/gpu must be a whole number": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.resources.limits.nvidia.com/gpu",
        "500m",
    ),
    "the request of nvidia.com/gpu must equal its limit": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.resources.requests.nvidia.com/gpu",
        "1",
    ),
    "more memory is requested than its limit": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.resources.requests.memory",
        "1Ti",
    ),
    "'2q' is not a quantity": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.resources.requests.cpu",
        "2q",
    ),
    "is not a DNS label": (DEPLOYMENT, "metadata.name", "Generator_0"),
    "scepsy/plan is True, not a string": (DEPLOYMENT, "metadata.labels.scepsy/plan", True),
    "not a label's value": (DEPLOYMENT, "metadata.labels.scepsy/plan", "x" * 64),
    "there is no Service 'elsewhere'": (
        "StatefulSet/default-judge-0",
        "spec.serviceName",
        "elsewhere",
    ),
    "there is no ConfigMap 'lost'": (
        "StatefulSet/default-judge-0",
        "spec.template.spec.volumes.2.configMap.name",
        "lost",
    ),
    "its selector selects no pod": ("Service/default-judge", "spec.selector.scepsy/llm", "judges"),
    "no port named 'web'": ("Service/default-judge", "spec.ports.0.targetPort", "web"),
    "the port 70000 is not between": ("Service/default-judge", "spec.ports.0.port", 70000),
    "asks the port 'web'": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.readinessProbe.httpGet.port",
        "web",
    ),
    "not a port's name": (DEPLOYMENT, "spec.template.spec.containers.0.ports.0.name", "HTTP_PORT"),
    "'/tmp' is there twice": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.volumeMounts.1.mountPath",
        "/tmp",
    ),
    "the volume 'disk', which the pod does not have": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.volumeMounts.1.name",
        "disk",
    ),
    "8 in its command is not a string": (
        DEPLOYMENT,
        "spec.template.spec.containers.0.command.0",
        8,
    ),
}


def spoil(one: dict[str, Any], path: str, value: object) -> None:
    """Sets the field at a dotted path; keys with dots in them come last."""
    inner: Any = one
    *steps, last = path.split(".", path.count("."))
    for key in ("nvidia.com/gpu",):
        if path.endswith(key):
            steps, last = path.removesuffix(f".{key}").split("."), key
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    assert (int(last) < len(inner)) if isinstance(inner, list) else last in inner
    inner[int(last) if isinstance(inner, list) else last] = value


def test_what_is_rendered_has_no_problem() -> None:
    assert not check(list(objects().values()))


@pytest.mark.parametrize("problem", SPOILT)
def test_what_an_api_server_would_refuse_is_named(problem: str) -> None:
    found = objects()
    which, path, value = SPOILT[problem]
    spoil(found[which], path, value)
    problems = check(list(found.values()))
    assert any(problem in one for one in problems), problems


def test_two_objects_of_one_name_are_named() -> None:
    found = list(objects().values())
    assert any("there are two of this name" in one for one in check([*found, found[0]]))


def test_the_schema_misses_what_this_finds() -> None:
    """Three refusals of a real API server that strict validation lets pass."""
    for problem in list(SPOILT)[:3]:
        found = objects()
        which, path, value = SPOILT[problem]
        spoil(found[which], path, value)
        kubernetes_validate.validate(found[which], "1.37", strict=True)


def test_quantities() -> None:
    assert quantity("1500m") == quantity("1.5")
    assert quantity("1Gi") == 2**30
    assert quantity("2k") == 2000
    with pytest.raises(ValueError, match="not a quantity"):
        quantity("1 Gi")
