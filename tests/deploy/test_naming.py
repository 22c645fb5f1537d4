"""Names that would leave a deployment's folder, or be those of others' actors, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.deploy import LocalBackend
from scepsy.deploy.naming import NAME_MAX
from scepsy.deploy.ray.backend import RayBackend
from scepsy.errors import BadInput


@pytest.mark.parametrize("name", ["", "a/controller", "../up", ".", "a\0b", "x" * (NAME_MAX + 1)])
async def test_a_name_that_is_none_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str
) -> None:
    for backend in (LocalBackend(tmp_path), RayBackend("127.0.0.1:1")):
        with pytest.raises(BadInput, match="deployment name"):
            await backend.status(name)
        with pytest.raises(BadInput, match="deployment name"):
            await backend.down(name)
    with pytest.raises(BadInput, match="deployment name"):
        await RayBackend("127.0.0.1:1").plan(name)
