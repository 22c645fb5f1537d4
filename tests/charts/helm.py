"""Helm's own engine, for tests: its Go SDK (v4.2.3), as the package helm-python-sdk has it.

The package is installed once into ~/.cache/scepsy/helm, at the version in constraints.txt. It is
loaded in a process of its own, since a Go runtime brings threads and signal handlers along.

    python helm.py lint|template CHART      # values as JSON on standard input; prints JSON
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "helm-python-sdk"
SECONDS = 300.0


class HelmRefusal(Exception):
    """What Helm said against a chart or its values."""


def installed() -> Path:
    """The folder with the package; installs it where it is not there yet."""
    constraints = ROOT / "constraints.txt"
    (version,) = re.findall(rf"^{PACKAGE}==(\S+)$", constraints.read_text(), re.MULTILINE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scepsy" / "helm"
    target = cache / version
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=cache))
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(half),
        ]
        try:
            subprocess.run([*pip, f"{PACKAGE}=={version}"], check=True)
            # The wheel has three copies of the library.
            for copy in (half / "helm_python" / "lib").glob("libhelm_c.so.*"):
                copy.unlink()
            half.rename(target)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return target


def helm(verb: str, chart: Path, values: dict[str, Any] | None = None, **options: str) -> Any:
    """What Helm says: of "lint" the report, of "template" the text by file. Raises HelmRefusal."""
    environment = {**os.environ, "PYTHONPATH": str(installed())}
    asked = json.dumps({"values": values or {}, "options": options})
    done = subprocess.run(
        [sys.executable, __file__, verb, str(chart)],
        input=asked, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise HelmRefusal(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else verb)
    return json.loads(done.stdout)


def _main(verb: str, chart: str) -> None:
    import helm_python

    asked = json.loads(sys.stdin.read())
    values, options = asked["values"], asked["options"]
    try:
        if verb == "lint":
            answer: Any = helm_python.lint(chart, values, strict=True, **options)
        else:
            with helm_python.Chart.load(chart) as loaded:
                loaded.validate_schema(values)
                answer = loaded.render(values, **options)
    except helm_python.HelmError as error:
        sys.exit(" ".join(str(error).split()))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
