"""The demo's folder: what the demo writes into it, and how it recognises the folder later."""

from __future__ import annotations

import shutil
from pathlib import Path

from scepsy.errors import BadInput
from scepsy.store import write_atomic

FOLDERS = ("traces", "state")
FILES = ("profile.json", "plan.json", "summary.json", "report.html")
MARK = ".scepsy-demo"
"""Name of the file by which the demo recognises a folder that an earlier demo filled."""
MARK_TEXT = (
    "`scepsy demo` wrote this folder. When it runs again with this --out, it removes\n"
    f"{', '.join((*FOLDERS, *FILES))} here. Remove this file to keep them.\n"
)


def claim(out: Path) -> None:
    """Makes `out` an empty folder for the demo. Of a folder that an earlier demo filled, it removes
    what the demo writes and leaves every other file.

    Raises:
        BadInput: `out` is a file, or a folder that holds files and that no demo filled. Nothing was
            removed then.
        BadInput: something in `out` cannot be removed, or `out` cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: is a file; name a folder for what the demo writes")
    if not (out / MARK).is_file() and out.is_dir() and any(out.iterdir()):
        raise BadInput(
            f"--out {out}: this folder holds files, and no mark of a demo, so the demo does not "
            f"write there; name a new or an empty folder, as in --out {out / 'demo'}{_older(out)}"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
        for name in FILES:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            f"--out {out}: {error.filename} cannot be replaced: {error.strerror}; remove it, or "
            "name another folder"
        ) from error
    write_atomic(out / MARK, MARK_TEXT.encode())


def _older(out: Path) -> str:
    """What to do with a folder that a demo seems to have filled before demos left a mark."""
    if not all((out / name).is_file() for name in FILES):
        return ""
    return (
        ". It looks like the results of an earlier version, which left no mark: if they may go, "
        f"run `touch {out / MARK}`, and the demo replaces its own files there"
    )
