"""Builds the gateway's image with buildah: no container engine and no registry of images is needed.

    python3 container/build.py out/image/scepsy.tar                  # on a Debian root
    python3 container/build.py out/image/scepsy.tar --base IMAGE     # on an image of yours

Writes an OCI archive, which podman, skopeo, kind, containerd and Docker load. It has to run as
root. mmdebstrap makes the Debian root, which stays in ~/.cache/scepsy/container for the next build;
everything else that was needed is removed. buildah and mmdebstrap are installed by apt-get where
they are missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
TOOLS = ("buildah", "mmdebstrap")


def build(archive: Path, base: str | None = None) -> None:
    """Builds the image of this checkout into `archive`; on `base`, or on a Debian root."""
    _tools()
    with tempfile.TemporaryDirectory(prefix="scepsy-image-") as folder:
        work = Path(folder)
        os.environ["TMPDIR"] = folder  # where buildah gathers layers
        buildah = [
            "buildah",
            "--root",
            f"{work}/store",
            "--runroot",
            f"{work}/run",
            "--storage-driver",
            "vfs",
        ]
        try:
            _build([*buildah], archive, base or _debian(buildah), work)
        finally:
            _run([*buildah, "rm", "--all"], check=False)
            _run([*buildah, "rmi", "--all", "--force"], check=False)


def _build(buildah: list[str], archive: Path, base: str, work: Path) -> None:
    command = [*buildah, "build", "--isolation", "chroot", "--network", "host", "--layers=false"]
    if certificate := os.environ.get("PIP_CERT"):
        certificates = work / "certificates"
        certificates.mkdir()
        shutil.copy(certificate, certificates / "authorities.crt")
        command += ["--volume", f"{certificates}:/certs:ro"]
        command += ["--build-arg", "PIP_CERT=/certs/authorities.crt"]
    file = PROJECT / "Containerfile"
    _run(
        [
            *command,
            "--build-arg",
            f"BASE={base}",
            "--tag",
            "scepsy",
            "--file",
            str(file),
            str(PROJECT),
        ]
    )
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.unlink(missing_ok=True)
    _run(
        [
            *buildah,
            "push",
            "--quiet",
            "localhost/scepsy",
            f"oci-archive:{archive}:scepsy:{_version()}",
        ]
    )


def _debian(buildah: list[str]) -> str:
    """The name of a local image of a Debian root with Python."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scepsy" / "container"
    )
    root = cache / f"{SUITE}.tar"
    if not root.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = root.with_suffix(".part.tar")
        _run(
            ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(half)]
        )
        half.replace(root)
    container = subprocess.run(
        [*buildah, "from", "scratch"], check=True, capture_output=True, text=True
    )
    name = container.stdout.strip()
    _run([*buildah, "add", "--quiet", name, str(root), "/"])
    _run([*buildah, "commit", "--quiet", name, "localhost/base"])
    return "localhost/base"


def _version() -> str:
    lines = (PROJECT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


def _tools() -> None:
    if os.geteuid():
        sys.exit("container/build.py has to run as root; or build with `podman build` as you are")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *missing])


def _run(command: list[str], *, check: bool = True) -> None:
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(command[:12])}: exit code {done.returncode}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("--base", help="image with Python 3.11 or newer, as buildah names it")
    options = parser.parse_args()
    build(options.archive.resolve(), options.base)
    sys.stdout.write(f"{options.archive}: {options.archive.stat().st_size / 1e6:.1f} MB\n")
