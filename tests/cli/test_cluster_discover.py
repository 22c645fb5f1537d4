"""`scepsy cluster discover` as a person runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from scepsy.cli.descriptions import cluster_of
from scepsy.cli.main import cli
from scepsy.errors import BadInput, NotFound, ScepsyError, Unreachable
from scepsy.store import read_cluster

OUTPUTS = Path(__file__).resolve().parents[1] / "assets" / "discover"


def discover(*arguments: object) -> str:
    runner = CliRunner(env={"COLUMNS": "80"})
    done = runner.invoke(cli, ["cluster", "discover", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.output


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi on PATH that replays the output of a machine of eight H100."""
    folder = tmp_path / "bin"
    folder.mkdir()
    whole = (OUTPUTS / "h100-sxm.txt").read_text()
    log, _, matrix = whole.partition("</nvidia_smi_log>\n")
    (folder / "log").write_text(log + "</nvidia_smi_log>\n")
    (folder / "matrix").write_text(matrix)
    script = folder / "nvidia-smi"
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f'"-q -x") while IFS= read -r line; do echo "$line"; done < {folder}/log ;;\n'
        f'"topo -m") while IFS= read -r line; do echo "$line"; done < {folder}/matrix ;;\n'
        '*) echo "Invalid combination of input arguments." >&2; exit 2 ;;\nesac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return script


def test_this_machine_is_described_and_can_be_planned_on(tmp_path: Path, nvidia_smi: Path) -> None:
    out = tmp_path / "cluster.toml"
    said = discover("--nvidia-smi", "--out", out)
    cluster = read_cluster(out)
    assert cluster == cluster_of(out)
    (node,) = cluster.nodes
    assert node.name == os.uname().nodename
    assert (node.gpus, node.gpu_type, node.taken) == (8, "h100", (2, 5))
    assert (cluster.gpus, cluster.largest_domain) == (6, 6)
    assert "6\N{NO-BREAK SPACE}free GPUs, 84.9 GB each" in said
    assert "GPU 2 is left out: a process computes on it." in said
    text = out.read_text()
    assert "GPU 5 is left out: 9012 MiB of its memory are in use." in text


def test_files_of_several_nodes_make_one_cluster(tmp_path: Path) -> None:
    out = tmp_path / "cluster.toml"
    h200 = OUTPUTS / "h200-csv.txt"
    said = discover(
        "--nvidia-smi", "--from", f"n1={h200}", "--rack", "n1=r2", "--out", out, "--json"
    )
    told = json.loads(said)
    assert told["file"] == str(out)
    assert told["cluster"]["nodes"][0]["rack"] == "r2"
    assert told["notes"] == []
    with pytest.raises(BadInput, match="there is such a file already; replace it with --force"):
        discover("--nvidia-smi", "--from", h200, "--out", out)
    assert read_cluster(out).nodes[0].name == "n1"
    discover("--nvidia-smi", "--from", h200, "--out", out, "--force")
    assert read_cluster(out).nodes[0].name == "h200-csv"


def test_output_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in sorted(OUTPUTS.glob("*.txt")):
        said = discover("--nvidia-smi", "--from", path, "--force")
        assert max(map(len, said.splitlines())) <= 80


def test_what_kubectl_printed_is_read(tmp_path: Path) -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.count": "4"}
    node = {
        "kind": "Node",
        "metadata": {"name": "n1", "labels": labels},
        "status": {"allocatable": {"nvidia.com/gpu": "4"}},
    }
    limits = {"limits": {"nvidia.com/gpu": "1"}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n1", "containers": [{"resources": limits}]},
        "status": {"phase": "Running"},
    }
    source, out = tmp_path / "all.json", tmp_path / "cluster.toml"
    source.write_text(json.dumps({"kind": "List", "items": [node, pod]}))
    discover("--kubernetes", "--from", source, "--out", out)
    assert read_cluster(out).nodes[0].taken == (3,)
    source.write_text(json.dumps({"kind": "List", "items": [node]}))
    with pytest.raises(BadInput, match="there is no Pod object in it"):
        discover("--kubernetes", "--from", source, "--out", out, "--force")


def test_a_machine_without_nvidia_smi_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NotFound, match=r"run `nvidia-smi -q -x; nvidia-smi topo -m` .* --from FILE"
    ):
        discover("--nvidia-smi", "--out", tmp_path / "cluster.toml")
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Unknown Error'\nexit 255\n")
    script.chmod(0o755)
    with pytest.raises(Unreachable, match="exit code 255: Failed to initialize NVML"):
        discover("--nvidia-smi", "--out", tmp_path / "cluster.toml")
    assert not (tmp_path / "cluster.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to ask: one of --nvidia-smi, --ray ADDRESS and --kubernetes"),
        (("--nvidia-smi", "--kubernetes"), "say what to ask"),
        (("--nvidia-smi", "--context", "x"), "--context is a context of a kubeconfig"),
        (("--nvidia-smi", "--from", "nowhere.txt"), "nowhere.txt: no such file"),
        (
            ("--nvidia-smi", "--from", OUTPUTS / "l40s.txt", "--rack", "n9=r"),
            "--rack n9: there is no such node; nodes with GPUs are l40s",
        ),
        (("--nvidia-smi", "--from", OUTPUTS / "l40s.txt", "--rack", "r1"), "write NODE=RACK"),
        (("--nvidia-smi", "--from", OUTPUTS / "README.md"), "README.md: this is no list of GPUs"),
        (("--kubernetes", "--from", OUTPUTS / "l40s.txt"), "make the file with `kubectl get nodes"),
        (("--ray", "10.0.0.1", "--from", OUTPUTS / "l40s.txt"), "--from is for --nvidia-smi and"),
    ],
)
def test_faults_name_the_option_or_file(
    arguments: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ScepsyError) as refused:
        discover(*arguments, "--out", tmp_path / "cluster.toml")
    assert words in str(refused.value)
    assert not list(tmp_path.iterdir())
