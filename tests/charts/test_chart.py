"""The Helm chart: linted and rendered by Helm's own engine, checked as an API server would."""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from charts.helm import ROOT, HelmRefusal, helm
from deploy.kubernetes.schema_validation import validate
from scepsy.cli.main import cli
from scepsy.deploy.kubernetes.objects import check
from scepsy.gateway.access.admin_access import KEY_BYTES_MIN

CHART = ROOT / "charts" / "scepsy"
TRACES = {"traces": {"enabled": True, "content": True, "size": "20Gi", "storageClass": "fast"}}
EVERYTHING = {
    **TRACES,
    "deployment": "agents",
    "image": {"repository": "r/scepsy", "digest": "sha256:" + "0" * 64, "pullSecrets": ["pull"]},
    "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "yes"}},
    "keys": {"values": {"OPENAI_API_KEY": "sk-1", "OTHER": "on"}},
    "networkPolicy": {"fromNamespaces": ["monitoring"]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "y"}},
    "serviceAccount": {"annotations": {"x": "1"}},
    "resources": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
    "priorityClassName": "high",
    "nodeSelector": {"pool": "1"},
    "tolerations": [{"key": "cpu-only", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "podAnnotations": {"b": "true"},
    "podLabels": {"team": "null"},
    "env": [{"name": "A", "value": "1"}],
}
VALUES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": EVERYTHING,
    "upstream": {"upstream": "http://vllm.llm:8000/v1", "workflow": "a b"},
    "several": {"replicas": 3},
    "own": {
        "traces": {"enabled": True, "existingClaim": "mine"},
        "keys": {"existingSecret": "mine", "names": ["OPENAI_API_KEY"]},
        "admin": {"existingSecret": "mine"},
        "serviceAccount": {"create": False, "name": "mine"},
        "rbac": {"create": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    },
}


def rendered(values: dict[str, Any] | None = None, name: str = "demo") -> list[dict[str, Any]]:
    texts = helm("template", CHART, values, name=name, namespace="llm")
    return [
        one
        for file, text in texts.items()
        if file.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one
    ]


def of_kind(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    found = (one for one in objects if one["kind"] == kind)
    (one,) = (one for one in found if name in (None, one["metadata"]["name"]))
    return one


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return of_kind(objects, "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_lint_finds_nothing(values: dict[str, Any]) -> None:
    report = helm("lint", CHART, values, namespace="llm")
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["error"] != "icon is recommended"] == []


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_objects_pass_the_schemas_and_what_a_server_checks_beyond_them(
    values: dict[str, Any],
) -> None:
    objects = rendered(values)
    assert validate(objects) >= 4 * len(objects) - 8
    assert check(objects) == ()
    assert {one["metadata"]["namespace"] for one in objects} == {"llm"}


def test_by_default_there_is_what_a_gateway_needs_and_no_more() -> None:
    assert sorted(one["kind"] for one in rendered()) == [
        "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "Secret",
        "Service", "ServiceAccount",
    ]  # fmt: skip
    assert {"PersistentVolumeClaim", "Secret", "ServiceMonitor"} <= {
        one["kind"] for one in rendered(EVERYTHING)
    }
    assert [one["kind"] for one in rendered(VALUES["own"])] == ["Deployment", "Service"]


def test_rights_are_those_to_read_routes_and_slices() -> None:
    assert of_kind(rendered({"deployment": "agents"}), "Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["agents-routes"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    upstream = rendered(VALUES["upstream"])
    assert not {"Role", "RoleBinding"} & {one["kind"] for one in upstream}
    assert pod_of(upstream)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_pods_meet_the_restricted_pod_security_standard(values: dict[str, Any]) -> None:
    pod = pod_of(rendered(values))
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert {next(key for key in one if key != "name") for one in pod["volumes"]} <= {
        "emptyDir",
        "persistentVolumeClaim",
    }


def test_the_user_is_the_image_s() -> None:
    (user,) = re.findall(r"^USER (\d+):", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert pod_of(rendered())["securityContext"]["runAsUser"] == int(user)


def test_traces_have_one_writer_and_outlive_the_release() -> None:
    objects = rendered(TRACES)
    assert of_kind(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    claim = of_kind(objects, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["storageClassName"] == "fast"
    arguments = pod_of(objects)["containers"][0]["args"]
    assert arguments[arguments.index("--traces") + 1] == "/traces/calls"
    assert "--record-content" in arguments


def test_new_keys_restart_the_gateway() -> None:
    one, other = (rendered({"keys": {"values": {"K": value}}}) for value in "ab")
    annotations = [
        of_kind(each, "Deployment")["spec"]["template"]["metadata"]["annotations"]["scepsy/keys"]
        for each in (one, other)
    ]
    assert annotations[0] != annotations[1]
    assert of_kind(one, "Secret", "demo-gateway-keys")["data"] == {"K": "YQ=="}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_admin_port_wants_a_key_of_its_own(values: dict[str, Any]) -> None:
    objects = rendered(values)
    (container,) = pod_of(objects)["containers"]
    name = "mine" if "admin" in values else "demo-gateway-admin"
    assert container["env"][0] == {
        "name": "SCEPSY_ADMIN_KEY",
        "valueFrom": {"secretKeyRef": {"name": name, "key": "key"}},
    }
    if "admin" not in values:
        key = base64.b64decode(of_kind(objects, "Secret", name)["data"]["key"])
        assert len(key) >= KEY_BYTES_MIN
    ports = [port for one in objects if one["kind"] == "Service" for port in one["spec"]["ports"]]
    assert [one["name"] for one in ports if one["targetPort"] == "admin"] == (
        ["admin"] if "serviceMonitor" in values else []
    )


def test_prometheus_reads_metrics_with_the_key() -> None:
    objects = rendered(EVERYTHING)
    (endpoint,) = of_kind(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    secret = endpoint["authorization"]["credentials"]
    assert secret["key"] in of_kind(objects, "Secret", secret["name"])["data"]
    ports = of_kind(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"]
    assert [one["port"] for one in ports] == [8080, 8081]


def test_the_gateway_may_send_the_keys_that_were_given_and_no_others() -> None:
    for values, names in (
        (EVERYTHING, ["OPENAI_API_KEY", "OTHER"]),
        (VALUES["own"], ["OPENAI_API_KEY"]),
    ):
        arguments = pod_of(rendered(values))["containers"][0]["args"]
        sent = [b for a, b in pairwise(arguments) if a == "--api-key-env"]
        assert sent == names


def test_long_release_names_make_names_that_are_allowed() -> None:
    objects = rendered(EVERYTHING, name="a" * 53)
    assert check(objects) == ()


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_gateway_has_every_option_that_the_chart_gives_it(values: dict[str, Any]) -> None:
    (container,) = pod_of(rendered(values))["containers"]
    assert container["command"] == ["scepsy", "gateway"]
    told = CliRunner().invoke(cli, ["gateway", "--help"]).output
    options = {argument for argument in container["args"] if argument.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", told))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 0}, "replicas"),
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"image": {"repo": "x"}}, "additional properties 'repo' not allowed"),
        ({"user": 0}, "user"),
        ({"upstream": "vllm:8000"}, "does not match pattern"),
        ({"traces": {"size": "many"}}, "size"),
        ({"traces": {"enabled": True}, "replicas": 2}, "only one gateway can write traces"),
        ({"controller": {"enabled": True}}, "this version has no controller yet"),
        ({"keys": {"existingSecret": "a", "values": {"K": "v"}}}, "existingSecret or values"),
        ({"keys": {"values": {"not a name": "v"}}}, "not a name"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmRefusal) as refused:
        rendered(values)
    assert words in str(refused.value)


def test_every_value_is_in_the_schema_and_every_version_is_the_project_s() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    project = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert [chart["version"], chart["appVersion"]] == project * 2
