"""`scepsy render`: files, streams, and plans that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from scepsy.cli.render import command
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Placement, Replica, Slice
from scepsy.errors import BadInput
from scepsy.store import write_record
from scepsy.testing.strategies import bare_plan

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"


def write_plan(path: Path, *shares: float) -> Path:
    """A plan with a replica of "judge" for each share, on one GPU."""
    replicas = tuple(
        Replica(
            replica=f"judge-{index}",
            llm="judge",
            tp=1,
            slices=(Slice(node="n1", gpu=0, gpu_share=share, memory_share=share),),
        )
        for index, share in enumerate(shares)
    )
    judge = LlmSpec(name="judge", parameters=1e9, engine="emulated")
    cluster = Cluster(nodes=(Node(name="n1", gpus=2),))
    write_record(path, bare_plan(cluster, (judge,), Placement(replicas=replicas)))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        command, [str(word) for word in arguments], catch_exceptions=False, standalone_mode=False
    )


def test_a_stream_of_yaml_with_what_it_needs(tmp_path: Path) -> None:
    done = run(write_plan(tmp_path / "plan.json", 0.5, 0.5), "--to", "kubernetes")
    kinds = [one["kind"] for one in yaml.safe_load_all(done.stdout)]
    assert kinds.count("StatefulSet") == 2
    assert "MPS sharing with 2 replicas per GPU" in done.stderr
    assert done.stdout.startswith("# Plan p-")


def test_files_are_written_the_same_twice_and_stale_ones_go(tmp_path: Path) -> None:
    plan, out = write_plan(tmp_path / "plan.json", 0.5, 0.5), tmp_path / "out"
    out.mkdir()
    (out / "mine.yaml").write_text("kind: Mine\n")
    run(plan, "--to", "kubernetes", "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"shared.yaml", "engines-judge.yaml", "mine.yaml"}
    run(plan, "--to", "kubernetes", "--out", out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    run(write_plan(tmp_path / "plan.json"), "--to", "kubernetes", "--out", out)
    assert {path.name for path in out.iterdir()} == {"shared.yaml", "mine.yaml"}


def test_what_is_told_fits_80_columns_and_counts_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = EXAMPLES / "shared-gpu" / "plan.json", Path("out")
    monkeypatch.chdir(tmp_path)
    for target in ("kubernetes", "ray-serve", "kserve", "dynamo", "keda-kueue"):
        profile = ("--gpu", "dra") if target == "kubernetes" else ()
        done = run(plan, "--to", target, *profile, "--out", out / target)
        assert max(map(len, done.stderr.splitlines())) <= 80
        if target == "ray-serve":
            assert done.stdout.replace("\N{NO-BREAK SPACE}", " ") == (
                "1 object written to 1 file in the folder out/ray-serve\n"
            )


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "shared.yaml").write_text("kind: Mine\n")
    with pytest.raises(BadInput, match="did not write it"):
        run(write_plan(tmp_path / "plan.json", 0.5), "--to", "kubernetes", "--out", out)
    assert (out / "shared.yaml").read_text() == "kind: Mine\n"
    assert len(list(out.iterdir())) == 1


def test_a_plan_that_cannot_be_carried_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="`shares_per_gpu` in the cluster file"):
        run(write_plan(tmp_path / "plan.json", 0.5, 0.25), "--to", "kubernetes")


def test_json_for_programs(tmp_path: Path) -> None:
    done = run(write_plan(tmp_path / "plan.json", 1.0), "--to", "kubernetes", "--json")
    found = json.loads(done.stdout)
    assert found["plan"].startswith("p-")
    assert {"objects", "lost", "needs", "files"} <= set(found)
    assert not done.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--image", "vllm", "write ENGINE=IMAGE"),
        ("--image", "vlm=x", "write ENGINE=IMAGE"),
        ("--priority-class", "a=b", "WHOLE NUMBER"),
        ("--cpu", "two", "cpu: 'two' is not a quantity"),
        ("--namespace", "My_Space", "namespace 'My_Space'"),
        ("--name", "../../evil", "letters, digits and dashes"),
        ("--secret", "My_Keys", "no Secret can have the name 'My_Keys'"),
        ("--pull-secret", "My_Keys", "no Secret can have the name 'My_Keys'"),
        ("--model-cache", "a/b", "no PersistentVolumeClaim can have the name 'a/b'"),
    ],
)
def test_options_that_make_no_objects_are_refused(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        run(write_plan(tmp_path / "plan.json", 1.0), "--to", "kubernetes", option, value)


@pytest.mark.parametrize(
    ("target", "option", "value", "users"),
    [
        ("kserve", "--gpu", "hami", "it is for --to kubernetes)"),
        ("ray-serve", "--cpu", "4", "it is for --to kubernetes, --to kserve, --to dynamo)"),
        ("keda-kueue", "--queue", "q", "it is for --to kubernetes, --to dynamo)"),
        ("kubernetes", "--prometheus", "http://p", "it is for --to keda-kueue)"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    tmp_path: Path, target: str, option: str, value: str, users: str
) -> None:
    plan = write_plan(tmp_path / "plan.json", 1.0)
    with pytest.raises(BadInput) as refused:
        run(plan, "--to", target, option, value)
    assert f"{option} changes nothing for --to {target}" in str(refused.value)
    assert users in str(refused.value)


def test_choices_reach_the_objects(tmp_path: Path) -> None:
    done = run(
        write_plan(tmp_path / "plan.json", 1.0),
        *("--to", "kubernetes", "--json", "--image", "emulated=registry.example/scepsy:2"),
        *("--priority-class", "engines=1000", "--secret", "hub", "--model-cache", "weights"),
        *("--allow-from", "monitoring", "--pull-secret", "registry", "--epoch", "7"),
    )
    objects = json.loads(done.stdout)["objects"]
    kinds = {one["kind"]: one for one in objects}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example/scepsy:2"
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "hub"}}]
    assert pod["priorityClassName"] == kinds["PriorityClass"]["metadata"]["name"] == "engines"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert {"claimName": "weights"} in [one.get("persistentVolumeClaim") for one in pod["volumes"]]
    assert kinds["Deployment"]["metadata"]["labels"]["scepsy/epoch"] == "7"
    assert "monitoring" in json.dumps(kinds["NetworkPolicy"])
