"""Stores of API keys: one contract, for SQLite and for a real PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from postgres_server import postgres_server

from scepsy.errors import BadInput, NotFound, Unreachable
from scepsy.gateway.access.api_keys import KeyLimits, digest_of
from scepsy.gateway.access.stores import open_store

LIMITS = KeyLimits(llms=("m",), requests_per_minute=2.5, tokens_per_minute=1e5, calls_at_once=3)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('keys') / 'keys.db'}"
        return
    with postgres_server() as server:
        yield server.url


def test_what_one_process_writes_another_reads(url: str) -> None:
    one, other = open_store(url), open_store(url)
    key, secret = one.create("Ada", LIMITS, 100.0)
    (found,) = (each for each in other.load() if each.id == key.id)
    assert found == key
    assert (found.name, found.limits, found.created, found.revoked) == ("Ada", LIMITS, 100.0, None)
    assert found.opened_by(digest_of(secret), 101.0)
    assert not found.opened_by(digest_of(secret + "x"), 101.0)
    one.close()
    other.close()


def test_a_revoked_key_opens_nothing(url: str) -> None:
    store = open_store(url)
    key, secret = store.create("b", KeyLimits(), 100.0)
    store.revoke(key.id, 200.0)
    (found,) = (each for each in store.load() if each.id == key.id)
    assert found.revoked == 200.0
    assert not found.opened_by(digest_of(secret), 150.0)
    with pytest.raises(NotFound, match="that works"):
        store.rotate(key.id, 0.0, 300.0)
    with pytest.raises(NotFound, match="no key 'none'"):
        store.revoke("none", 300.0)
    store.close()


def test_an_old_secret_works_as_long_as_rotation_keeps_it(url: str) -> None:
    store = open_store(url)
    key, first = store.create("c", KeyLimits(), 100.0)
    second = store.rotate(key.id, 60.0, 200.0)
    third = store.rotate(key.id, 10.0, 210.0)
    (found,) = (each for each in store.load() if each.id == key.id)
    works = {
        at: [found.opened_by(digest_of(one), at) for one in (first, second, third)]
        for at in (215.0, 221.0, 261.0)
    }
    assert works == {
        215.0: [True, True, True], 221.0: [False, False, True], 261.0: [False, False, True],
    }  # fmt: skip
    store.close()


def test_no_secret_is_at_rest(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    _, secret = store.create("d", KeyLimits(), 100.0)
    assert secret.removeprefix("sk-scepsy-") not in repr(store.load())
    store.close()
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        assert secret.encode() not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_gateways_may_make_the_schema_at_once(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            for name in ("scepsy_key_hashes", "scepsy_keys", "scepsy_keys_version"):
                connection.exec_driver_sql(f"DROP TABLE {name}")
        engine.dispose()
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(open_store, [url] * 8))
    made = {store.create(str(n), KeyLimits(), float(n))[0].id for n, store in enumerate(stores)}
    assert {one.id for one in stores[0].load()} == made
    for store in stores:
        store.close()


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    open_store(url).close()
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("UPDATE scepsy_keys_version SET version_num = '99'")
    database.close()
    with pytest.raises(BadInput, match="schema 99, which a newer version of Scepsy made"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("keys.db", BadInput, "is not a URL"),
        ("mysql://me:hush@h/x", BadInput, "give sqlite:///PATH or"),
        ("sqlite://", BadInput, "give sqlite:///PATH or"),
        ("sqlite:////proc/none/keys.db", BadInput, "cannot be made"),
        ("postgresql://me:hush@127.0.0.1:1/x", Unreachable, "cannot be used: connection failed"),
    ],
)
def test_a_store_that_cannot_be_is_said_without_its_password(
    url: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        open_store(url)
    assert "hush" not in str(raised.value)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "alembic", None)
    monkeypatch.delitem(__import__("sys").modules, "scepsy.gateway.access.sql_store", raising=False)
    with pytest.raises(NotFound, match=r"pip install 'scepsy\[keys\]'"):
        open_store(f"sqlite:///{tmp_path / 'keys.db'}")
    assert os.listdir(tmp_path) == []
