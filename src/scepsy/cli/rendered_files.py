"""Writes rendered objects into a folder, and removes those that an earlier plan left there."""

from __future__ import annotations

from pathlib import Path

from scepsy.deploy.render.documents import yaml_stream
from scepsy.deploy.render.translation import Translation
from scepsy.errors import BadInput
from scepsy.store import write_atomic

MARK = "# Written by scepsy render for deployment "


def write_files(folder: Path, name: str, translated: Translation) -> list[Path]:
    """Writes a YAML file for each part. Files that an earlier call wrote for the same deployment
    and that have no part any more are removed; other files in the folder are left alone.

    Raises BadInput where the folder cannot be used, or a file of ours would replace another one.
    """
    mark = f"{MARK}{name}\n"
    texts = {
        folder / f"{part}.yaml": mark + yaml_stream(objects, translated.comment)
        for part, objects in translated.files.items()
    }
    try:
        ours = {path for path in folder.glob("*.yaml") if _first_line(path) == mark}
        foreign = [path for path in texts if path.exists() and path not in ours]
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read: {error.strerror}") from error
    if foreign:
        raise BadInput(
            f"{foreign[0]}: this file is there, and scepsy render did not write it for deployment "
            f"{name!r}; name another folder"
        )
    for path, text in texts.items():
        write_atomic(path, text.encode())
    for path in sorted(ours - set(texts)):
        path.unlink()
    return list(texts)


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline()
