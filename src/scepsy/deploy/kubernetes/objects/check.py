"""What an API server refuses although the schema allows it (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scepsy.deploy.kubernetes.objects.options import Object
from scepsy.deploy.kubernetes.objects.pod_rules import pod_problems

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_WORKLOADS = ("Deployment", "StatefulSet")
_PODS_OF = ("Pod", *_WORKLOADS)


def check(objects: Sequence[Object]) -> tuple[str, ...]:
    """The problems of objects that are to be applied together: each a sentence that begins with the
    object's kind and name. Empty where there is none.
    """
    found: list[str] = []
    seen: set[tuple[str, str, str, str]] = set()
    for one in objects:
        where = described(one)
        found += (f"{where}: {problem}" for problem in _own_problems(one))
        found += (f"{where}: {problem}" for problem in _reference_problems(one, objects))
        group = str(one.get("apiVersion", "")).rpartition("/")[0]
        meta = one.get("metadata", {})
        key = (group, one.get("kind", ""), meta.get("namespace", ""), meta.get("name", ""))
        if key in seen:
            found.append(f"{where}: there are two of this name")
        seen.add(key)
    return tuple(found)


def described(one: Object) -> str:
    return f"{one.get('kind', 'object')} {one.get('metadata', {}).get('name', 'without a name')}"


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def template_of(one: Object) -> Object | None:
    """The pod, or pod template, of an object; None where it has none."""
    if one.get("kind") == "Pod":
        return one
    return one.get("spec", {}).get("template") if one.get("kind") in _WORKLOADS else None


def _own_problems(one: Object) -> Iterator[str]:
    if not one.get("apiVersion") or not one.get("kind"):
        yield "apiVersion or kind is missing"
    yield from _not_json(one, "")
    yield from _metadata_problems(one.get("metadata", {}), one.get("kind", ""))
    template = template_of(one)
    if one.get("kind") in _WORKLOADS and template is not None:
        template_labels = template.get("metadata", {}).get("labels", {})
        yield from _label_problems("template's labels", template_labels)
        selector = one["spec"].get("selector", {}).get("matchLabels", {})
        if not selects(selector, template_labels):
            yield "its selector does not select its own pods"
    if template is not None:
        yield from pod_problems(template.get("spec", {}))
    if one.get("kind") == "Service":
        yield from _service_problems(one.get("spec", {}).get("ports", []))


def _metadata_problems(meta: Object, kind: str) -> Iterator[str]:
    name = meta.get("name", "")
    pattern = _DNS_LABEL if kind in ("Service", *_PODS_OF) else _DNS_SUBDOMAIN
    if not isinstance(name, str) or not pattern.fullmatch(name):
        yield f"the name {name!r} is not a DNS label (small letters, digits and '-', at most 63)"
    elif kind == "Service" and not name[0].isalpha():
        yield f"the name {name!r} of a Service must begin with a letter"
    if "namespace" in meta and not _DNS_LABEL.fullmatch(str(meta["namespace"])):
        yield f"the namespace {meta['namespace']!r} is not a DNS label"
    yield from _label_problems("labels", meta.get("labels", {}))
    for key, value in meta.get("annotations", {}).items():
        if not isinstance(value, str):
            yield f"the annotation {key} is {value!r}, not a string"


def _label_problems(what: str, labels: Mapping[str, object]) -> Iterator[str]:
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if not _LABEL_NAME.fullmatch(name) or (slash and not _DNS_SUBDOMAIN.fullmatch(prefix)):
            yield f"{what}: {key!r} is not a label's key"
        if not isinstance(value, str):
            yield f"{what}: {key} is {value!r}, not a string"
        elif value and not _LABEL_NAME.fullmatch(value):
            yield f"{what}: {key} is {value!r}, not a label's value (at most 63 characters)"


def _service_problems(ports: Sequence[Object]) -> Iterator[str]:
    names = [port.get("name", "") for port in ports]
    if len(set(names)) < len(names):
        yield "two ports have one name"
    for port in ports:
        if not 0 < port.get("port", 0) < 65536:
            yield f"the port {port.get('port')!r} is not between 1 and 65535"


def _reference_problems(one: Object, objects: Sequence[Object]) -> Iterator[str]:
    """Names of other objects that are not there, and selectors that select nothing. A Secret, a
    PersistentVolumeClaim or a PriorityClass may be there already.
    """
    namespace = one.get("metadata", {}).get("namespace", "")
    known = {
        (other.get("kind"), other.get("metadata", {}).get("name"))
        for other in objects
        if other.get("metadata", {}).get("namespace", "") == namespace
    }
    spec = one.get("spec", {})
    if one.get("kind") == "StatefulSet" and ("Service", spec.get("serviceName")) not in known:
        yield f"there is no Service {spec.get('serviceName')!r}"
    for kind, name in _named_by(template_of(one) or {}):
        if (kind, name) not in known:
            yield f"there is no {kind} {name!r}"
    selector: Any = spec.get("selector", {})
    if one.get("kind") in ("PodDisruptionBudget", "InferencePool"):
        selector = selector.get("matchLabels", {})
    elif one.get("kind") != "Service":
        return
    pods = list(_pods(objects, namespace))
    chosen = [pod for pod in pods if selects(selector, pod["metadata"].get("labels", {}))]
    if not chosen:
        yield "its selector selects no pod"
    for port in spec.get("ports", []):
        target = port.get("targetPort")
        if isinstance(target, str) and not all(target in _port_names(pod) for pod in chosen):
            yield f"a pod that it selects has no port named {target!r}"


def _named_by(template: Object) -> Iterator[tuple[str, str]]:
    """Kind and name of what a pod must find."""
    spec = template.get("spec", {})
    for volume in spec.get("volumes", []):
        if "configMap" in volume and not volume["configMap"].get("optional"):
            yield "ConfigMap", volume["configMap"].get("name")
    if "schedulingGroup" in spec:
        yield "PodGroup", spec["schedulingGroup"].get("podGroupName")
    for claim in spec.get("resourceClaims", []):
        if "resourceClaimName" in claim:
            yield "ResourceClaim", claim["resourceClaimName"]
        if "resourceClaimTemplateName" in claim:
            yield "ResourceClaimTemplate", claim["resourceClaimTemplateName"]


def _pods(objects: Iterable[Object], namespace: str) -> Iterator[Object]:
    for one in objects:
        template = template_of(one)
        if template is not None and one["metadata"].get("namespace", "") == namespace:
            yield template


def _port_names(pod: Object) -> set[str]:
    containers = pod.get("spec", {}).get("containers", [])
    return {port.get("name", "") for one in containers for port in one.get("ports", [])}


def _not_json(value: object, path: str) -> Iterator[str]:
    """Values that JSON has no type for, and keys that are not strings: YAML would read them as
    something else.
    """
    if isinstance(value, dict):
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(key, str):
                yield f"{path or 'it'} has the key {key!r}, which is not a string"
            yield from _not_json(inner, f"{path}.{key}".lstrip("."))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for index, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _not_json(inner, f"{path}[{index}]")  # pyright: ignore[reportUnknownArgumentType]
    elif not isinstance(value, (str, int, float, bool, type(None))):
        yield f"{path} is {type(value).__name__}, which JSON does not have"
