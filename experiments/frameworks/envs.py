"""An environment per framework, from pins; one at a time on the disk unless they are kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OUT = ROOT / "out" / "frameworks"
PINS = HERE / "pins"
NODE = "vercel_ai"


def names() -> list[str]:
    return sorted(path.stem for path in PINS.glob("*.txt"))


def version(name: str) -> str:
    """Of the framework itself: its first pin."""
    first = (PINS / f"{name}.txt").read_text().splitlines()[0]
    return first.rpartition("@" if "==" not in first else "==")[2]


def build(name: str) -> Path:
    """The environment's Python (or, for Node, its folder), made unless it is as pinned already."""
    folder, pins = OUT / "envs" / name, PINS / f"{name}.txt"
    stamp = folder / ".pins"
    if not stamp.is_file() or stamp.read_text() != pins.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name == NODE:
            _node(folder, pins)
        else:
            _python(folder, pins)
        stamp.write_text(pins.read_text())
    return folder if name == NODE else folder / "bin" / "python"


def remove(name: str) -> None:
    shutil.rmtree(OUT / "envs" / name, ignore_errors=True)


def wheel() -> Path:
    """Scepsy as its users install it."""
    folder = OUT / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    _call([*pip, str(ROOT)])
    return next(folder.glob("*.whl"))


def _python(folder: Path, pins: Path) -> None:
    """uv links files from one cache, so what several frameworks need is fetched and kept once; and
    it compiles nothing: most of what comes along is never imported.
    """
    uv = [sys.executable, "-m", "uv", "--quiet", "--cache-dir", str(OUT / "cache")]
    _call([*uv, "venv", "--allow-existing", "--python", sys.executable, str(folder)])
    # What marks calls needs the standard library only: a framework's own pins stay as they are.
    [built] = (OUT / "wheel").glob("*.whl")
    install = [*uv, "pip", "install", "--no-deps", "--python", str(folder / "bin" / "python")]
    _call([*install, "--reinstall-package", "scepsy", "--requirement", str(pins), str(built)])


def _node(folder: Path, pins: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not there: install Node 20 (Debian: nodejs, npm)")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    flags = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    _call([npm, "install", *flags, *pins.read_text().split()], cwd=folder)


def _call(argv: list[str], cwd: Path | None = None) -> None:
    ended = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} failed:\n{ended.stderr[-2000:]}")
