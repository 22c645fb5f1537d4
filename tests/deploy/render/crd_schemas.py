"""Strict validation against the schemas in CustomResourceDefinitions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import yaml

VARIABLE = "SCEPSY_CRDS"
"""The environment variable that names a folder with CRD files, which are not the project's own."""


def crds() -> dict[tuple[str, str], dict[str, Any]]:
    """By apiVersion and kind, the schemas of all CRD files in the folder; empty without one."""
    folder = os.environ.get(VARIABLE)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(Path(folder).rglob("*.yaml")) if folder else []:
        for one in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            if one and one.get("kind") == "CustomResourceDefinition":
                spec = one["spec"]
                for version in spec["versions"]:
                    key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                    found[key] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def validate(one: dict[str, Any], schema: dict[str, Any]) -> None:
    """Raises ValidationError, also for a field that the schema does not have."""
    bare = {**one, "metadata": {}}  # its schema says nothing
    jsonschema.Draft7Validator(schema).validate(bare)


def _strict(schema: Any) -> Any:
    """The schema with no unknown fields, and with integers or text where Kubernetes takes both."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items() if key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("pattern", None)
        made["type"] = ["integer", "string"]
    preserved = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and "additionalProperties" not in schema and not preserved:
        made["additionalProperties"] = False
    return made
