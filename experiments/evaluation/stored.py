"""What was computed once is read again, as long as nothing that it depends on has changed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import cache, wraps
from hashlib import sha256
from inspect import getsourcefile
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "out" / "evaluation" / "cache"
SHOWN = {
    "tables.py",
    "intervals.py",
    "predictions.py",
    "agreement.py",
    "model_error.py",
    "pictures.py",
    "lines.py",
    "dots.py",
    "planning.py",
    "fairness.py",
    "regret.py",
}
"""Files here that only show results."""
P = ParamSpec("P")
R = TypeVar("R")


@cache
def sources() -> str:
    """A digest of all code and data that a result may depend on."""
    here = Path(__file__).parent
    files = [*(ROOT / "src" / "scepsy").rglob("*.py"), *(ROOT / "src" / "scepsy").rglob("*.json")]
    files += [path for path in here.glob("*.py") if path.name not in SHOWN]
    files += (here.parent / "data").glob("*.gz")
    found = sha256()
    for path in sorted(files):
        found.update(path.read_bytes())
    return found.hexdigest()


def stored(function: Callable[P, R], *, in_memory: bool = True) -> Callable[P, R]:
    """Kept in memory, unless it is too large for that, and in a file named by the sources and the
    arguments, whose `repr` must tell them apart.
    """
    known: dict[str, Any] = {}
    own = sha256(Path(getsourcefile(function) or "").read_bytes()).hexdigest()

    @wraps(function)
    def found(*args: P.args, **kwargs: P.kwargs) -> R:
        asked = f"{function.__module__}.{function.__qualname__} {args!r} {kwargs!r}"
        if asked in known:
            return known[asked]
        name = sha256(f"{sources()} {own} {asked}".encode()).hexdigest()
        path = FOLDER / f"{name}.pickle"
        if path.is_file():
            result: R = pickle.loads(path.read_bytes())
        else:
            result = function(*args, **kwargs)
            FOLDER.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps(result))
            part.replace(path)
        if in_memory:
            known[asked] = result
        return result

    return found
