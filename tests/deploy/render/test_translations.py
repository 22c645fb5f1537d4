"""Plans for others' systems: what is written, what is said to be lost, and the systems' schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crd_schemas import VARIABLE, crds, validate
from hypothesis import HealthCheck, given, settings
from msgspec import structs

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import RenderOptions, render
from scepsy.deploy.render import (
    NotTranslated,
    Translation,
    dynamo,
    keda_kueue,
    kserve,
    ray_serve,
)
from scepsy.deploy.render.arguments import arguments, keywords, words
from scepsy.deploy.render.documents import yaml_stream
from scepsy.engines.protocol import Launch
from scepsy.store import read_plan
from scepsy.testing.strategies import plans

EXAMPLES = Path(__file__).parents[3] / "examples" / "kubernetes"
MIXED = read_plan(EXAMPLES / "mixed" / "plan.json")
WHOLE = read_plan(EXAMPLES / "whole-gpus" / "plan.json")
OPTIONS = RenderOptions(name="team-a", namespace="llm")

DEFINED = {
    "gateway.networking.k8s.io/v1",
    "inference.networking.k8s.io/v1",
    "keda.sh/v1alpha1",
    "kueue.x-k8s.io/v1beta2",
    "serving.kserve.io/v1alpha2",
}
"""Groups whose definitions were at hand. Dynamo's is in no registry, and 1.6 MB large."""

Target = Callable[[Plan], Translation | NotTranslated]
TARGETS: dict[str, Target] = {
    "ray-serve": lambda plan: ray_serve(plan, container_launches(plan), "team-a"),
    "kserve": lambda plan: kserve(plan, container_launches(plan), OPTIONS),
    "dynamo": lambda plan: dynamo(plan, container_launches(plan), OPTIONS),
    "keda-kueue": lambda plan: keda_kueue(plan, OPTIONS),
}


def translated(target: str, plan: Plan = MIXED) -> Translation:
    found = TARGETS[target](plan)
    assert isinstance(found, Translation), found
    return found


@pytest.mark.parametrize("target", TARGETS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(plan=plans(share_groups=True))
def test_every_plan_is_translated_or_refused_with_a_reason(target: str, plan: Plan) -> None:
    found = TARGETS[target](plan)
    if isinstance(found, NotTranslated):
        assert found.reasons
        assert all(reason.endswith(".") for reason in found.reasons)
        return
    every = [one for part in found.files.values() for one in part]
    assert sorted(map(json.dumps, every)) == sorted(map(json.dumps, found.objects))
    assert yaml_stream(found.objects) == yaml_stream(translated(target, plan).objects)
    parts = [one for one in plan.placement.replicas if one.gpu_share < 1]
    for llm in {one.llm for one in parts}:
        assert any(llm in sentence for sentence in found.lost)
    if plan.placement.replicas:
        assert any("exact GPUs" in sentence for sentence in found.lost)


@pytest.mark.parametrize("target", TARGETS)
def test_replicas_and_tp_are_those_of_the_plan(target: str) -> None:
    text = json.dumps(translated(target, WHOLE).objects)
    found = {
        "ray-serve": r'"model_id": "generator".*?"tensor_parallel_size": 2.*?"num_replicas": 2',
        "kserve": r'"name": "generator"}, "replicas": 2, "parallelism": {"tensor": 2}',
        "dynamo": r'"name": "generator", "type": "worker", "replicas": 2.*?"nvidia.com/gpu": "2"',
        "keda-kueue": r'"name": "generator"}, "minReplicaCount": 2, "maxReplicaCount": 2',
    }
    assert re.search(found[target], text)


def test_kserve_says_how_many_gpus_more_it_takes() -> None:
    lost = translated("kserve").lost
    assert "The number of GPUs: this takes 9, the plan 8." in lost
    counts = "1 on gpu-node-1, 1 on gpu-node-2, 1 on gpu-node-3"
    assert f"How many replicas of generator are on each node ({counts})." in lost


def test_kserve_leaves_to_its_template_what_that_gives() -> None:
    generator = translated("kserve").objects[1]
    assert generator["spec"]["model"] == {"uri": "hf://Qwen/Qwen3-32B", "name": "generator"}
    (container,) = generator["spec"]["template"]["containers"]
    given = {word for word in container["args"] if word.startswith("--")}
    assert "--max-model-len" in given
    assert not given & {"--port", "--tensor-parallel-size", "--served-model-name"}


def test_dynamo_has_what_its_types_demand() -> None:
    """The rules of deploy/operator/api/v1beta1 that can be read off its Go types."""
    (graph,) = translated("dynamo").objects
    components = graph["spec"]["components"]
    assert set(graph["spec"]) == {"components"}
    assert {key for one in components for key in one} == {
        "name",
        "type",
        "replicas",
        "podTemplate",
    }
    names = [one["name"] for one in components]
    assert len({name.lower() for name in names}) == len(names) <= 25
    for one in components:
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?", one["name"])
        assert one["type"] in ("frontend", "worker")
        (main,) = one["podTemplate"]["spec"]["containers"]
        assert main["name"] == "main"
        assert re.search(r":\d+\.\d+\.\d+$", main["image"])
    by_name = {one["name"]: one for one in components}
    part = by_name["embedder"]["podTemplate"]
    assert part["metadata"]["annotations"] == {"gpu-fraction": "0.250"}
    assert "nvidia.com/gpu" not in part["spec"]["containers"][0]["resources"]["limits"]
    args = by_name["generator"]["podTemplate"]["spec"]["containers"][0]["args"]
    assert args[:2] == ["--model", "Qwen/Qwen3-32B"]
    assert "--port" not in args


def test_dynamo_cannot_read_the_version_off_another_tag() -> None:
    options = RenderOptions(images={"vllm": "registry.example/runtime:main"})
    found = dynamo(MIXED, container_launches(MIXED), options)
    assert isinstance(found, Translation)
    assert any("runtime:main, whose tag is no version" in need for need in found.needs)
    assert not any("whose tag" in need for need in translated("dynamo").needs)


@pytest.mark.parametrize("target", ["kserve", "dynamo"])
def test_no_variable_is_replaced_in_an_engine_s_options(target: str) -> None:
    """The kubelet replaces $(NAME) in arguments, and makes one $ of two."""
    option = '--override-generation-config={"stop": "$(HOME) $$"}'
    llms = [structs.replace(llm, flags=(option,)) for llm in WHOLE.llms]
    text = yaml_stream(translated(target, structs.replace(WHOLE, llms=tuple(llms))).objects, ())
    assert "$$(HOME) $$$$" in text
    assert not re.search(r"(?<!\$)\$\(HOME\)", text)


def test_keda_and_kueue_get_floors_ceilings_and_quotas() -> None:
    objects = translated("keda-kueue", WHOLE).objects
    quotas = {
        one["metadata"]["name"]: one["spec"]["resourceGroups"][0]["flavors"][0]["resources"]
        for one in objects
        if one["kind"] == "ClusterQueue"
    }
    assert quotas["team-a-generator"] == [{"name": "nvidia.com/gpu", "nominalQuota": "4"}]
    for one in objects:
        if one["kind"] == "ScaledObject":
            spec = one["spec"]
            assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]


def test_an_engine_that_a_system_does_not_run_is_refused() -> None:
    plan = read_plan(Path(__file__).parents[2] / "assets" / "v1" / "plan.json")
    for target in ("ray-serve", "kserve", "dynamo"):
        found = TARGETS[target](plan)
        assert isinstance(found, NotTranslated)
        assert "'generator' has the engine 'emulated'" in " ".join(found.reasons)


def test_pods_of_kserve_and_dynamo_are_valid_at_the_newest_version() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    (graph,) = translated("dynamo").objects
    specs = [one["podTemplate"]["spec"] for one in graph["spec"]["components"]]
    for one in translated("kserve").objects:
        (container,) = one["spec"]["template"]["containers"]
        # KServe's own template has the image.
        specs.append(
            {**one["spec"]["template"], "containers": [{"image": "from-template", **container}]}
        )
    for spec in specs:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        kubernetes_validate.validate(pod, "1.37", strict=True)


@pytest.mark.ray
def test_ray_reads_the_config() -> None:
    schema = pytest.importorskip("ray.serve.schema", reason="Ray Serve is not installed")
    (config,) = translated("ray-serve").objects
    schema.ServeDeploySchema.model_validate(config)


@pytest.mark.ray
def test_ray_serve_llm_reads_every_llm() -> None:
    reason = "Ray Serve LLM needs ray[serve] and pyarrow, which are not installed"
    module = "ray.llm._internal.serve.core.configs.llm_config"
    configs = pytest.importorskip(module, reason=reason, exc_type=ImportError)
    (config,) = translated("ray-serve").objects
    for one in config["applications"][0]["args"]["llm_configs"]:
        configs.LLMConfig(**one)  # refuses unknown fields


def test_custom_resources_are_valid_by_their_definitions() -> None:
    known = crds()
    if not known:
        pytest.skip(f"set {VARIABLE} to a folder with CRD files: see docs/guides/render.md")
    rendered = render(
        MIXED, container_launches(MIXED), RenderOptions(gpu="dra", gateway="inferencepool")
    )
    objects: list[dict[str, Any]] = [
        *translated("kserve").objects,
        *translated("dynamo").objects,
        *translated("keda-kueue").objects,
        *rendered.objects,  # pyright: ignore
    ]
    missing = {group for group in DEFINED if not any(key[0] == group for key in known)}
    assert not missing, "CRD files of these groups are not in the folder"
    for one in objects:
        if one["apiVersion"] in DEFINED:
            validate(one, known[one["apiVersion"], one["kind"]])


def test_a_command_is_read_as_its_engine_reads_it() -> None:
    launch = Launch(
        (
            "python3",
            "-m",
            "vllm",
            "serve",
            "org/x",
            "--seed",
            "0",
            "--fast",
            "--seed=7",
            "--x",
            "-1",
        ),
        "http://x",
    )
    assert arguments(launch) == {"--fast": None, "--seed": "7", "--x": "-1"}
    assert words(arguments(launch), ["--fast"]) == ["--seed", "7", "--x", "-1"]
    assert keywords(arguments(launch)) == {"fast": True, "seed": 7, "x": -1}


@pytest.mark.parametrize("text", ["12e4567", "1_000", "nan", "infinity", "007", "1e3", " 1"])
def test_what_only_python_reads_as_a_number_stays_text(text: str) -> None:
    assert keywords({"--revision": text}) == {"revision": text}
