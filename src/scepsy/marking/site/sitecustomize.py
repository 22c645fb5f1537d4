"""Python runs this at the start of every interpreter that has this folder on its PYTHONPATH, as
`scepsy trace --auto` sees to. Only the standard library is there for sure.
"""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _load_scepsy() -> None:
    """Makes `import scepsy` find the Scepsy that this file belongs to, and nothing else of the
    environment that it is installed in.
    """
    if importlib.util.find_spec("scepsy") is not None:
        return
    package = _HERE.parent.parent
    spec = importlib.util.spec_from_file_location(
        "scepsy", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["scepsy"] = module
        spec.loader.exec_module(module)


def _run_the_next() -> None:
    """The sitecustomize that this one hides (Debian and others have one)."""
    paths = [path for path in sys.path if Path(path or ".").resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_workflow = os.environ.get("SCEPSY_AUTO")
if _workflow:
    _load_scepsy()
    from scepsy.marking.auto import open_runs_automatically

    open_runs_automatically(_workflow)
_run_the_next()
