"""The demo removes what an earlier demo wrote, and never anything else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scepsy.demo.outputs import FILES, FOLDERS, MARK, claim
from scepsy.errors import BadInput


def filled(folder: Path) -> dict[str, str]:
    """Puts a file under every name that the demo uses, and one beside them."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "mine.jsonl").write_text(name)
    for name in (*FILES, "notes.txt"):
        (folder / name).write_text(name)
    return held(folder)


def held(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MARK)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("name", [".", "work"])
def test_a_folder_of_somebody_else_is_refused_and_keeps_everything(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = filled(Path(name))
    with pytest.raises(BadInput, match=r"holds files, and no mark of a demo.*--out (work/)?demo"):
        claim(Path(name))
    assert held(Path(name)) == before
    assert not (Path(name) / MARK).exists()


def test_the_folder_of_a_demo_without_a_mark_is_kept_until_the_user_marks_it(
    tmp_path: Path,
) -> None:
    """Earlier versions left no mark."""
    filled(tmp_path)
    with pytest.raises(BadInput, match=r"earlier version.*run `touch (\S+)`") as refused:
        claim(tmp_path)
    command = re.search(r"`touch (\S+)`", str(refused.value))
    assert command is not None
    Path(command[1]).touch()
    claim(tmp_path)
    assert held(tmp_path) == {"notes.txt": "notes.txt"}


@pytest.mark.parametrize("name", ["traces", "notes.txt", "plan.json"])
def test_one_file_is_enough_to_refuse(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput):
        claim(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_the_folder_of_an_earlier_demo_is_emptied_of_what_the_demo_writes(tmp_path: Path) -> None:
    out = tmp_path / "new" / "demo"
    claim(out)
    filled(out)
    claim(out)
    assert held(out) == {"notes.txt": "notes.txt"}
    assert (out / MARK).is_file()


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path: Path) -> None:
    claim(tmp_path)
    with pytest.raises(BadInput, match="is a file"):
        claim(tmp_path / MARK)


def test_what_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    claim(tmp_path)
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(BadInput, match=r"plan\.json cannot be replaced: Is a directory"):
        claim(tmp_path)
    with pytest.raises(BadInput, match="cannot be replaced: Not a directory"):
        claim(tmp_path / MARK / "below")
