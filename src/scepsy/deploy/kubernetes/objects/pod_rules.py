"""What an API server refuses in a pod although the schema allows it (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from scepsy.deploy.kubernetes.objects.options import Object

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGTPE]i|[mkMGTPE]|)")
_SUFFIX = {
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{name: Fraction(1000**power) for power, name in enumerate("kMGTPE", start=1)},
    **{f"{name}i": Fraction(1024**power) for power, name in enumerate("KMGTPE", start=1)},
}
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def pod_problems(spec: Object) -> Iterator[str]:
    """Problems of a pod's `spec`, in sentences."""
    volumes = [str(volume.get("name")) for volume in spec.get("volumes", [])]
    yield from _twice("volumes", volumes)
    claims = [str(claim.get("name")) for claim in spec.get("resourceClaims", [])]
    yield from _twice("resourceClaims", claims)
    yield from _name_problems(spec)
    containers = [*spec.get("initContainers", []), *spec.get("containers", [])]
    yield from _twice("containers", [str(one.get("name")) for one in containers])
    if not spec.get("containers"):
        yield "it has no container"
    for one in containers:
        where = f"container {one.get('name')}"
        for problem in _container_problems(one, volumes, claims):
            yield f"{where}: {problem}"


def _name_problems(spec: Object) -> Iterator[str]:
    """Names of objects that the pod needs and that are made by others."""
    named = [("Secret", one.get("name")) for one in spec.get("imagePullSecrets", [])]
    for container in spec.get("containers", []):
        for source in container.get("envFrom", []):
            named += [("Secret", one.get("name")) for one in source.values()]
    for volume in spec.get("volumes", []):
        if claim := volume.get("persistentVolumeClaim"):
            named.append(("PersistentVolumeClaim", claim.get("claimName")))
    for kind, name in named:
        if not _DNS_SUBDOMAIN.fullmatch(str(name or "")):
            yield f"no {kind} can have the name {name!r}: small letters, digits, '-' and '.' only"


def quantity(text: str) -> Fraction:
    """The number that a Kubernetes quantity stands for. Raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    return Fraction(match[1]) * _SUFFIX[match[2]]


def _container_problems(
    one: Object, volumes: Sequence[str], claims: Sequence[str]
) -> Iterator[str]:
    if not _DNS_LABEL.fullmatch(str(one.get("name", ""))):
        yield "the name is not a DNS label"
    if not one.get("image"):
        yield "it has no image"
    yield from _port_problems(one)
    yield from _word_problems(one)
    yield from _resource_problems(one.get("resources", {}))
    for claim in one.get("resources", {}).get("claims", []):
        if claim.get("name") not in claims:
            yield f"it uses the claim {claim.get('name')!r}, which the pod does not have"
    mounts = one.get("volumeMounts", [])
    yield from _twice("mount paths", [str(mount.get("mountPath")) for mount in mounts])
    for mount in mounts:
        if mount.get("name") not in volumes:
            yield f"it mounts the volume {mount.get('name')!r}, which the pod does not have"


def _word_problems(one: Object) -> Iterator[str]:
    yield from _twice("env", [str(entry.get("name")) for entry in one.get("env", [])])
    for entry in one.get("env", []):
        if not _ENV_NAME.fullmatch(str(entry.get("name", ""))):
            yield f"{entry.get('name')!r} is not the name of an environment variable"
        if not isinstance(entry.get("value", ""), str):
            yield f"the variable {entry.get('name')} is {entry['value']!r}, not a string"
    for word in (*one.get("command", []), *one.get("args", [])):
        if not isinstance(word, str):
            yield f"{word!r} in its command is not a string"


def _port_problems(one: Object) -> Iterator[str]:
    ports = one.get("ports", [])
    yield from _twice("port names", [str(port["name"]) for port in ports if "name" in port])
    for port in ports:
        if not 0 < port.get("containerPort", 0) < 65536:
            yield f"the port {port.get('containerPort')!r} is not between 1 and 65535"
        if "name" in port and not _PORT_NAME.fullmatch(port["name"]):
            yield f"{port['name']!r} is not a port's name (at most 15 small letters and digits)"
    names = [port.get("name") for port in ports]
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        target = one.get(kind, {}).get("httpGet", {}).get("port")
        if isinstance(target, str) and target not in names:
            yield f"the {kind} asks the port {target!r}, which the container does not have"


def _resource_problems(resources: Object) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    amounts: dict[tuple[str, str], Fraction] = {}
    for what, table in (("requests", requests), ("limits", limits)):
        for name, text in table.items():
            try:
                amounts[what, name] = quantity(text) if isinstance(text, str) else Fraction(text)
            except ValueError as error:
                yield f"resources.{what}: {name}: {error}"
    for name in sorted({*requests, *limits}):
        asked, most = amounts.get(("requests", name)), amounts.get(("limits", name))
        if _extended(name):
            if any(amount is not None and amount.denominator != 1 for amount in (asked, most)):
                yield f"resources: {name} must be a whole number"
            if most is None or (asked is not None and asked != most):
                yield f"resources: the request of {name} must equal its limit"
        elif asked is not None and most is not None and asked > most:
            yield f"resources: more {name} is requested than its limit"


def _extended(name: str) -> bool:
    """Whether nodes offer it through device plugins."""
    return name not in _NATIVE and not name.startswith("hugepages-")


def _twice(what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what}: {name!r} is there twice"
