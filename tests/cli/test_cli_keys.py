"""`scepsy keys`, and what `scepsy gateway` says of keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scepsy.cli.gateway import _keys_sentence
from scepsy.cli.main import cli
from scepsy.errors import NotFound


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCEPSY_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SCEPSY_KEYS_STORE", raising=False)


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments], catch_exceptions=False)


def listed(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(keys("list", "--json", *arguments).stdout)


def test_a_key_is_made_listed_rotated_and_revoked() -> None:
    limits = ("--llm", "m", "--llm", "k", "--workflow", "w", "--requests-per-minute", "90")
    made = keys(
        "create", "Ada", *limits, "--tokens-per-minute", "5e5", "--calls", "4", "--runs", "2"
    )
    secret = made.stdout.strip()
    assert secret.startswith("sk-scepsy-")
    assert "shown this once" in made.stderr
    (one,) = listed()
    assert one["limits"] == {
        "llms": ["m", "k"], "workflows": ["w"], "requests_per_minute": 90.0,
        "tokens_per_minute": 5e5, "calls_at_once": 4, "runs_at_once": 2,
    }  # fmt: skip
    for word in ("Ada", one["id"], "works", "requests/min 90.0", "runs 2"):
        assert word in keys("list").stdout
    assert secret not in keys("list", "--json").stdout
    other = json.loads(keys("rotate", one["id"], "--json").stdout)
    assert other["secret"] != secret
    assert "revoked" in keys("revoke", one["id"]).stdout
    assert json.loads(keys("revoke", one["id"], "--json").stdout) == {"revoked": one["id"]}
    assert listed()[0]["revoked"] is not None


def test_a_store_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    keys("create", "Ada", "--keys-store", url)
    assert listed() == []
    monkeypatch.setenv("SCEPSY_KEYS_STORE", url)
    assert [one["name"] for one in listed()] == ["Ada"]


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="no key 'nope'"):
        keys("revoke", "nope")
    assert keys("create", "Ada", "--calls", "0").exit_code == 2
    assert keys("create", "Ada", "--tokens-per-minute", "nan").exit_code == 2


def test_the_gateway_says_whether_keys_are_asked_for() -> None:
    assert "scepsy keys create" in _keys_sentence(asks_keys=True, host="0.0.0.0")
    assert "no API key" in _keys_sentence(asks_keys=False, host="127.0.0.1")
    assert _keys_sentence(asks_keys=False, host="0.0.0.0").startswith("WARNING")
