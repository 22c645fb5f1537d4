"""Imports the function that a command line names."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType

from scepsy.drive.run import Function
from scepsy.errors import BadInput, NotFound, did_you_mean


def load_function(name: str) -> Function:
    """The `async def` function that `MODULE:FUNCTION` or `PATH.py:FUNCTION` names.

    As with `python -m` and `python PATH.py`, the working directory or the folder of the file is put
    on sys.path. Set OPENAI_BASE_URL before: many programs make their client on import.

    Raises:
        NotFound: there is no such module, file or function.
        BadInput: the name has no colon, the module cannot be imported, or it is no async function.
    """
    place, colon, function = name.rpartition(":")
    if not colon or not place or not function:
        raise BadInput(f"{name!r}: write MODULE:FUNCTION or PATH.py:FUNCTION")
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    found: object = getattr(module, function, None)
    if found is None:
        known = [name for name, one in vars(module).items() if inspect.iscoroutinefunction(one)]
        raise NotFound(f"{place} has no function {function!r}{did_you_mean(function, known)}")
    if not inspect.iscoroutinefunction(found):
        raise BadInput(f"{name}: must be an `async def` function, to have many runs open at once")
    return found


def _import_module(name: str) -> ModuleType:
    _prepend(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise NotFound(f"there is no module {error.name!r} here or on sys.path") from None
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:  # user code, see run_once
        raise _broken(name, error) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    _prepend(str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look their module up by its name.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[path.stem]
        raise _broken(str(path), error) from error
    return module


def _prepend(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _broken(name: str, error: BaseException) -> BadInput:
    return BadInput(f"{name} cannot be imported: {type(error).__name__}: {error}")
