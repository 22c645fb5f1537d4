from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from builders import curve
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    LlmAllocation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
    Target,
)
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.store import read_cluster, read_llms, read_plan, read_profile, write_record

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_examples_are_read():
    cluster = read_cluster(EXAMPLES / "cluster.toml")
    assert (cluster.gpus, cluster.largest_domain) == (8, 4)
    assert "generator" in {llm.name for llm in read_llms(EXAMPLES / "llms.toml")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nodes = []", ":1: nodes: at least one"),
        ("[[nodes]]\nname='a'\ngpus=0", r":3: node 'a': gpus: 0 must be positive"),
        ("[[nodes]]\nname='a'\ngpus=2\nnvlink_domain=-1", r":4: node 'a': nvlink_domain"),
        ("gpu_memory = nan\n[[nodes]]\nname='a'\ngpus=1", ":1: gpu_memory: nan must be positive"),
        (
            "[[nodes]]\nname='a'\ngpus=1\n[[nodes]]\nname='a'\ngpus=1",
            ": nodes.name: a is there more",
        ),
        ("[[nodes]]\nname='a'\ngpus=2\ntaken=[2]", ":4: node 'a': taken: there is no GPU 2"),
        ("[[nodes]]\nname='a'\ngpus=2\ntaken=[0, 0]", ":4: node 'a': taken: 0 is there more"),
        ("[[nodes]]\nname='a'\ngpus=2\ntaken=[1, 0]", ": nodes: every GPU is taken by others"),
        ("[[nodes]]\nname='a'\ngpus=2\nuuids=['x']", ":4: node 'a': uuids: 1 for 2 GPUs"),
        (
            "[[nodes]]\nname='a'\ngpus=1\n[[nodes]]\nname='b'\ngpus=1\ngpu_type='a100'",
            ": nodes.gpu_type: a100, h100: one GPU type per cluster",
        ),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "cluster.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=rf"cluster\.toml{message}"):
        read_cluster(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("llms = []", "1: llms: Expected `array` of length >= 1"),
        ("[[llms]]\nname='a'\n[[llms]]\nname='a'", "llms.name: a is there more"),
        ("[[llms]]\nname='a'\nlayers=0", r"LLM 'a': layers: 0 must be positive"),
        ("[[llms]]\nname='a'\nparameters=-1.0", r"LLM 'a': parameters: -1 is not a count"),
        (
            "[[llms]]\nname='a'\nengine='magic'",
            "3: LLM 'a': engine: 'magic' is not known; known are: .*vllm",
        ),
        ("[[llms]]\nname='a'\nengine='endpoint'", "LLM 'a': url: nothing is not"),
        ("[[llms]]\nname='a'\nengine='endpoint'\nurl='ftp://x'", "4: LLM 'a': url: 'ftp://x'"),
        ("[[llms]]\nname='a'\nurl='https://x'", "3: LLM 'a': url: only an LLM with engine"),
        (
            "[[llms]]\nname='a'\nengine='endpoint'\nurl='https://x'\nrate_limit=0.0",
            "5: LLM 'a': rate_limit: 0 must be positive",
        ),
    ],
)
def test_llms_that_make_no_sense_are_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "llms.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=rf"llms\.toml:.*{message}"):
        read_llms(path)


def test_a_typo_is_named_with_file_line_llm_and_the_field_that_was_meant(tmp_path: Path):
    path = tmp_path / "llms.toml"
    path.write_text("[[llms]]\nname = 'a'\n\n[[llms]]\nname = 'generator'\nmax_pt = 4\n")
    with pytest.raises(BadInput) as refused:
        read_llms(path)
    expected = f"{path}:6: LLM 'generator': max_pt: there is no such field; did you mean max_tp?"
    assert str(refused.value) == expected
    path.write_text("[[llms]]\nname = 'a'\nengine = 'vlm'\n")
    with pytest.raises(BadInput, match=r":3: LLM 'a': engine: 'vlm' is not known; did you mean vl"):
        read_llms(path)
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("gpu_memry = 80e9\n[[nodes]]\nname = 'n'\n")
    with pytest.raises(BadInput, match=r":1: gpu_memry: .*did you mean gpu_memory\?"):
        read_cluster(cluster)


def test_a_file_of_another_kind_is_named_by_its_kind(tmp_path: Path):
    path = tmp_path / "plan.json"
    write_record(path, plan(replica("a-0")))
    for read, words in (
        (read_profile, "this is a plan, not a profile; `scepsy profile`"),
        (read_cluster, "this is a plan, not a cluster"),
        (read_llms, "this is a plan, not an LLM file"),
    ):
        with pytest.raises(BadInput, match=words):
            read(path)
    with pytest.raises(BadInput, match="this is an LLM file, not a plan"):
        read_plan(EXAMPLES / "llms.toml")
    with pytest.raises(BadInput, match="this is a cluster, not an LLM file"):
        read_llms(EXAMPLES / "cluster.toml")
    (tmp_path / "calls.jsonl").write_text("")
    with pytest.raises(BadInput, match="this is a trace directory, not a profile"):
        read_profile(tmp_path)


def test_a_profile_is_read_and_its_rates_must_rise(tmp_path: Path):
    path = tmp_path / "profile.json"
    good = curve("a", {1.0: 0.1, 2.0: 0.2})
    write_record(path, Profile(curves=(good,)))
    assert read_profile(path).curves == (good,)
    for bad, message in (
        (msgspec.structs.replace(good, points=good.points[::-1]), r"points: rates must rise"),
        (msgspec.structs.replace(good, points=()), r"points: there is none"),
        (msgspec.structs.replace(good, max_throughput=0.0), r"max_throughput: 0 must be positive"),
        (msgspec.structs.replace(good, gpu_share=1.5), r"gpu_share: 1\.5 must be"),
        (curve("a", {1.0: -0.1}), r"points\[0\]\.latency: -0\.1 must be positive"),
    ):
        write_record(path, Profile(curves=(good, bad)))
        with pytest.raises(BadInput, match=rf"profile\.json: curves\[1\]\.{message}"):
            read_profile(path)
    write_record(path, Profile(curves=()))
    with pytest.raises(BadInput, match="curves: there is none"):
        read_profile(path)


def plan(*replicas: Replica, version: int = 1) -> Plan:
    part = LlmAllocation(llm="a", tp=1, gpu_share=1.0, memory_share=1.0, replicas=len(replicas))
    return Plan(
        cluster=Cluster(nodes=(Node(name="n", gpus=2),)),
        llms=(LlmSpec(name="a"),),
        targets=(),
        demands=(),
        allocation=Allocation(llms=(part,)),
        placement=Placement(replicas=replicas),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
        format=version,
    )


def replica(name: str, llm: str = "a", node: str = "n", gpu: int = 0, tp: int = 1) -> Replica:
    part = Slice(node=node, gpu=gpu, gpu_share=1.0, memory_share=1.0)
    return Replica(replica=name, llm=llm, tp=tp, slices=(part,))


def test_a_plan_is_read_and_its_parts_must_fit(tmp_path: Path):
    path = tmp_path / "plan.json"
    good = plan(replica("a-0"), replica("a-1", gpu=1))
    write_record(path, good)
    assert read_plan(path) == good
    where = r"placement\.replicas"
    for bad, message in (
        (plan(replica("a-0"), replica("a-0")), rf"{where}\.replica: a-0 is there more"),
        (plan(replica("b-0", llm="b")), rf"{where}\[0\]\.llm: 'b' is not in llms"),
        (plan(replica("a-0", gpu=2)), rf"{where}\[0\]\.slices: the cluster has no GPU 2 on"),
        (plan(replica("a-0", node="m")), rf"{where}\[0\]\.slices: .* on node 'm'"),
        (plan(replica("a-0", tp=2)), rf"{where}\[0\]\.slices: 1 for tp 2"),
        (
            msgspec.structs.replace(good, targets=(Target(workflow="w", rate=0.0),)),
            r"targets\[0\]\.rate: 0 must be positive",
        ),
        (msgspec.structs.replace(good, time_scale=0.0), "time_scale: 0 must be positive"),
        (
            msgspec.structs.replace(good, cluster=Cluster(nodes=())),
            r"cluster\.nodes: at least one",
        ),
        (
            msgspec.structs.replace(
                good, cluster=Cluster(nodes=(Node(name="n", gpus=2, taken=(1,)),))
            ),
            rf"{where}\[1\]\.slices: GPU 1 of node 'n' is taken by others",
        ),
        (plan(replica("a-0"), version=2), "format: 2: this version reads format 1"),
    ):
        write_record(path, bad)
        with pytest.raises(BadInput, match=rf"plan\.json: {message}"):
            read_plan(path)


@pytest.mark.parametrize("name", ["../../evil", "a/../b", ".", "", "a\nb", "a\0b"])
def test_names_in_a_plan_that_lead_elsewhere_are_refused(tmp_path: Path, name: str):
    path = tmp_path / "plan.json"
    for field, bad in (
        (r"placement\.replicas\.replica", plan(replica(name))),
        (
            r"cluster\.nodes\.name",
            msgspec.structs.replace(
                plan(replica("a-0", node=name)), cluster=Cluster(nodes=(Node(name=name, gpus=2),))
            ),
        ),
    ):
        write_record(path, bad)
        with pytest.raises(BadInput, match=rf"plan\.json: {field}: .* is no name"):
            read_plan(path)


def test_names_of_published_llms_are_names(tmp_path: Path):
    path = tmp_path / "plan.json"
    good = plan(replica("meta-llama/Llama-3.1-8B-0"), replica("/models/llama-0", gpu=1))
    write_record(path, good)
    assert read_plan(path) == good
