"""The image of the gateway: what its Containerfile promises, and where asked for, what it is.

It is built with SCEPSY_BUILD_IMAGE=1 only: a Debian root, the build and its packages take minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scepsy.engines.process import free_port

ROOT = Path(__file__).resolve().parents[2]
ASKED = "SCEPSY_BUILD_IMAGE"
START_SECONDS = 120.0


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Containerfile and its arguments, lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()
    ]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def test_the_image_has_nothing_but_what_was_gathered_for_it() -> None:
    stage = last_stage()
    assert stage[0] == ("FROM", "scratch")
    assert [arguments for name, arguments in stage if name in ("COPY", "ADD", "RUN")] == [
        "--from=build /root-of-image /"
    ]


def test_the_image_runs_the_gateway_as_nobody_of_importance() -> None:
    settings = dict(last_stage())
    user, group = settings["USER"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert user == re.findall(r"^USER = (\d+)", (ROOT / "container/root.py").read_text(), re.M)[0]
    assert json.loads(settings["ENTRYPOINT"]) == ["scepsy", "gateway"]
    assert settings["EXPOSE"] == "8080"


def test_packages_are_pinned_and_what_is_copied_is_there() -> None:
    (run,) = (arguments for name, arguments in instructions() if name == "RUN")
    for install in run.split("&&"):
        if "pip install" in install:
            assert "--constraint" in install or "--no-deps" in install
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name, arguments in instructions():
        for source in arguments.split()[:-1]:
            if name == "COPY" and not source.startswith(("--from", "/")):
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


def listed() -> set[str]:
    lines = (ROOT / "container/gateway.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_listed_packages_are_all_that_the_gateway_imports_and_are_pinned() -> None:
    code = (
        "import sys\nimport scepsy.cli.gateway, scepsy.gateway.__main__\n"
        "import scepsy.engines.emulated.__main__, scepsy.deploy.kubernetes.following\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"aiohttp", "click", "msgspec", "rich"} <= loaded & listed()
    assert not loaded & {"numpy", "scipy", "jinja2", "yaml", "pandas", "openai"}
    pinned = (ROOT / "constraints.txt").read_text()
    assert all(re.search(rf"^{name}==\S+$", pinned, re.MULTILINE) for name in listed())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The unpacked root of the image, and its configuration."""
    if not os.environ.get(ASKED):
        pytest.skip(f"the image is built only with {ASKED}=1: it takes minutes and needs root")
    folder = tmp_path_factory.mktemp("image")
    archive, root = folder / "image.tar", folder / "root"
    build = [sys.executable, str(ROOT / "container/build.py"), str(archive)]
    subprocess.run(build, check=True, timeout=1800)
    assert archive.stat().st_size < 60e6
    with tarfile.open(archive) as content:
        content.extractall(folder / "oci", filter="data")

    def blob(digest: str) -> Path:
        return folder / "oci" / "blobs" / digest.replace(":", "/")

    index = json.loads((folder / "oci" / "index.json").read_bytes())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_bytes())
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer["digest"])) as content:
            content.extractall(root, filter="tar")
    return root, json.loads(blob(manifest["config"]["digest"]).read_bytes())["config"]


def test_the_built_image_has_no_shell_and_no_package_manager(
    image: tuple[Path, dict[str, Any]],
) -> None:
    root, config = image
    names = {path.name for path in root.rglob("*") if path.is_file() or path.is_symlink()}
    assert not names & {"sh", "bash", "dash", "busybox", "apt", "dpkg", "pip", "pip3", "perl"}
    assert not [
        path for path in root.rglob("*") if path.stat(follow_symlinks=False).st_mode & 0o6000
    ]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["scepsy", "gateway"]
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert size < 120e6


@pytest.fixture
def gateway(image: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """The image's command in a root that cannot be written, as its own user."""
    root, config = image
    port = free_port()
    mounts = (
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && "
        f"mount -t tmpfs tmpfs {root}/tmp && exec chroot --userspec={config['User']} {root} "
        f"/usr/local/bin/scepsy gateway --upstream http://127.0.0.1:9 --port {port}"
    )
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_built_image_serves_from_a_read_only_root(gateway: str) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{gateway}/health", timeout=10) as answer:
                assert json.loads(answer.read()) == {"status": "ok"}
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)
