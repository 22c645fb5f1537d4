"""Patches a module once: immediately if it is loaded, else when it is imported.

Importing every module that may be patched would cost seconds, and most programs have few of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Patch = Callable[[Any], None]


def patch_modules(patches: Mapping[str, Patch]) -> None:
    """Applies each patch to the module of its name, once. Cheap to call again."""
    if not any(isinstance(finder, _PatchOnImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PatchOnImport())
    for name, patch in patches.items():
        _patches.setdefault(name, patch)
        module = sys.modules.get(name)
        # One that is being imported right now is patched by its loader.
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            _apply(module)


_patches: dict[str, Patch] = {}
_patched: set[str] = set()


def _apply(module: ModuleType) -> None:
    name = module.__name__
    if name not in _patched:
        _patched.add(name)
        _patches[name](module)


class _PatchOnImport(MetaPathFinder):
    """Finds modules as the other finders would, and patches them once they have been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _patches:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _PatchingLoader(spec.loader)
                return spec
        return None


class _PatchingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _apply(module)

    def __getattr__(self, name: str) -> Any:
        # Readers of resources ask the loader for more than a loader must have.
        return getattr(self._loader, name)
