"""The `ray start` lines: every GPU by name, a token, durable state; and what is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from scepsy.cli.main import cli
from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Replica, Slice
from scepsy.deploy.ray.names import gpu_resources
from scepsy.deploy.ray.starting import StartLine, start_lines
from scepsy.errors import BadInput

CLUSTER = Cluster(nodes=(Node(name="w1", gpus=4), Node(name="w2", gpus=4, nvlink_domain=2)))


def after(line: StartLine, flag: str) -> str:
    return line.argv[line.argv.index(flag) + 1]


def test_every_gpu_is_a_resource_of_its_own_and_none_is_left_to_rays_counting() -> None:
    head, *nodes = start_lines(CLUSTER, "10.0.0.1")
    assert [line.machine for line in (head, *nodes)] == ["head", "w1", "w2"]
    assert json.loads(after(nodes[0], "--resources")) == {f"w1/gpu{gpu}": 1 for gpu in range(4)}
    assert all(after(line, "--num-gpus") == "0" for line in (head, *nodes))
    assert all(after(line, "--address") == "10.0.0.1:6379" for line in nodes)


def test_labels_say_the_node_and_its_nvlink_domains() -> None:
    _, whole, halves = start_lines(CLUSTER, "10.0.0.1")
    assert after(whole, "--labels") == "scepsy-node=w1,scepsy-gpu-type=h100,ray.io/gpu-domain=w1"
    assert "scepsy-nvlink-domain=2" in after(halves, "--labels")
    assert "ray.io/gpu-domain" not in after(halves, "--labels")


def test_every_line_asks_for_the_token_and_the_head_keeps_its_state() -> None:
    lines = start_lines(CLUSTER, "h:7000", storage="/srv/gcs")
    assert all(line.env["RAY_AUTH_MODE"] == "token" for line in lines)
    assert lines[0].env["RAY_gcs_storage"] == "rocksdb"
    assert lines[0].env["RAY_gcs_storage_path"] == "/srv/gcs"
    assert after(lines[0], "--port") == "7000"


def test_a_line_survives_the_shell() -> None:
    line = start_lines(CLUSTER, "10.0.0.1")[1]
    words = shlex.split(str(line).replace("\\\n", ""))
    settings = [f"{name}={value}" for name, value in line.env.items()]
    assert words == [*settings, *line.argv]


@pytest.mark.parametrize("head", ["", ":6379", "h:", "h:0", "h:port", "ray://h:10001", "h:65536"])
def test_an_address_that_is_none_is_refused(head: str) -> None:
    with pytest.raises(BadInput, match="head address"):
        start_lines(CLUSTER, head)


def test_a_node_whose_name_cannot_be_a_label_is_refused() -> None:
    with pytest.raises(BadInput, match="rename the node"):
        start_lines(Cluster(nodes=(Node(name="rack 1/a", gpus=1),)), "h")


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=20))
def test_shares_that_fit_a_gpu_fit_it_in_rays_steps(shares: list[float]) -> None:
    total = sum(shares)
    fitting = [share / max(1.0, total) for share in shares]
    asked = [gpu_resources(on_first_gpu(share))["w1/gpu0"] for share in fitting]
    rounded_up = sum(0.0001 for share in fitting if share < 0.0001)
    assert sum(asked) <= 1 + rounded_up + 1e-9
    assert all(one > 0 and round(one * 10_000) == pytest.approx(one * 10_000) for one in asked)


def on_first_gpu(share: float) -> Replica:
    part = Slice(node="w1", gpu=0, gpu_share=share, memory_share=share)
    return Replica(replica="m-0", llm="m", tp=1, slices=(part,))


def test_ray_up_prints_a_line_for_every_machine_and_refuses_one_that_is_none(
    tmp_path: Path,
) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text('[[nodes]]\nname = "w1"\ngpus = 2\n')
    arguments = ["ray", "up", "--cluster", str(file), "--head", "10.0.0.1"]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0
    assert "# On the head:" in shown.output
    assert "# On w1:" in shown.output
    lines = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).output)
    assert [line["machine"] for line in lines] == ["head", "w1"]
    refused = CliRunner().invoke(cli, [*arguments, "--run", "w9"])
    assert isinstance(refused.exception, BadInput)
