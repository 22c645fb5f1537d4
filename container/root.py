"""Gathers the files of an image that holds Python, the given packages and nothing else.

    python3 root.py PACKAGES ROOT

Runs while the image is built, with the Python that the image gets. What is copied: the interpreter,
its standard library without tests and tools, PACKAGES, every shared library that one of those
needs, the certificates of public authorities, and an account that is not root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

USER = 65532
UNUSED = shutil.ignore_patterns(
    *("__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "*.a"),
    *("ensurepip", "lib2to3", "pydoc_data", "distutils", "config-*"),
    *("site-packages", "dist-packages"),
)
RESOLVERS = ("libnss_dns.so.2", "libnss_files.so.2")
"""Loaded by name when a host is looked up, so that no file lists them as needed."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_NEEDED = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)")


def main(packages: Path, root: Path) -> None:
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    copied = [_copied(interpreter, root)]
    shutil.copytree(library, root / library.relative_to("/"), symlinks=False, ignore=UNUSED)
    own = root / Path(sysconfig.get_path("purelib")).relative_to("/")
    shutil.copytree(packages, own, ignore=_not_needed)
    copied += [path for path in root.rglob("*.so*") if path.is_file()]
    for needed in sorted({one for path in copied for one in _libraries(path)}):
        _copied(needed, root)
    for name in RESOLVERS:
        for found in interpreter.parent.parent.glob(f"lib/*/{name}"):
            _copied(found, root)
    if Path(CERTIFICATES).exists():
        _copied(Path(CERTIFICATES), root)
    _commands(root, interpreter)
    _account(root)
    _index_libraries(root)


def _not_needed(folder: str, names: list[str]) -> list[str]:
    """Commands, stubs, and what the Kubernetes client has for each kind of object: it loads those
    files on demand, 110 MB of them, and the gateway sends and reads plain JSON.
    """
    generated = re.search(r"/kubernetes/(aio/)?client/(api|models)$", folder) is not None
    return [
        name
        for name in names
        if name in ("bin", "__pycache__")
        or name.endswith(".pyi")
        or (generated and name != "__init__.py")
    ]


def _copied(path: Path, root: Path) -> Path:
    """Copies a file to the same place below the root; a link becomes the file that it names."""
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return target


def _libraries(path: Path) -> Iterator[Path]:
    """The shared libraries that a program or library loads, the loader among them."""
    said = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    for line in said.splitlines():
        if "not found" in line:
            sys.exit(f"{path}: {line.strip()}")
        if (found := _NEEDED.search(line)) is not None:
            yield Path(found[1])


def _commands(root: Path, interpreter: Path) -> None:
    """`python3` and `scepsy` in /usr/local/bin. The kernel starts the second by its first line."""
    folder = root / "usr/local/bin"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "python3").exists():
        os.symlink(interpreter, folder / "python3")
    command = folder / "scepsy"
    command.write_text(
        f"#!{interpreter}\nimport sys\n\nfrom scepsy.cli.main import main\n\nsys.exit(main())\n"
    )
    command.chmod(0o755)


def _index_libraries(root: Path) -> None:
    """Lets the loader find libraries outside of its usual folders, as those of a Python that was
    built from source.
    """
    folders = sorted({str(path.parent.relative_to(root)) for path in root.rglob("lib*.so*")})
    (root / "etc/ld.so.conf").write_text("".join(f"/{folder}\n" for folder in folders))
    subprocess.run(["ldconfig", "-r", str(root)], check=True)


def _account(root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text(f"scepsy:x:{USER}:{USER}::/tmp:/nonexistent\n")
    (root / "etc/group").write_text(f"scepsy:x:{USER}:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
