"""API keys in SQLite or PostgreSQL. This module needs the extra `scepsy[keys]`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import sqlalchemy as sql
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc

from scepsy.core.secrets import public_url
from scepsy.errors import BadInput, NotFound, Unreachable
from scepsy.gateway.access.api_keys import (
    ApiKey,
    KeyHash,
    KeyLimits,
    digest_of,
    new_id,
    new_secret,
)

_LOCK = 0x5CE9_5E
"""Number of PostgreSQL's advisory lock, so that two gateways do not migrate at once."""

_CONNECT = 5
"""Seconds to connect to PostgreSQL, and to wait for another writer of SQLite."""

_META = sql.MetaData()
_KEYS = sql.Table(
    "scepsy_keys",
    _META,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("name", sql.String, nullable=False),
    sql.Column("limits", sql.String, nullable=False),
    sql.Column("created", sql.Double, nullable=False),
    sql.Column("revoked", sql.Double),
)
_HASHES = sql.Table(
    "scepsy_key_hashes",
    _META,
    sql.Column("digest", sql.String, primary_key=True),
    sql.Column("key_id", sql.String, nullable=False),
    sql.Column("expires", sql.Double),
)


class SqlKeyStore:
    """Keys in the database at `url`, whose schema it brings up to date. See `KeyStore`."""

    def __init__(self, url: str) -> None:
        self._shown = public_url(url)
        self._engine = _engine(url)
        with self._reached() as connection:
            _migrate(connection)

    def load(self) -> list[ApiKey]:
        with self._reached() as connection:
            hashes: defaultdict[str, list[KeyHash]] = defaultdict(list)
            for digest, key_id, expires in connection.execute(
                sql.select(_HASHES.c.digest, _HASHES.c.key_id, _HASHES.c.expires)
            ):
                hashes[key_id].append(KeyHash(digest=digest, expires=expires))
            rows = connection.execute(sql.select(_KEYS).order_by(_KEYS.c.created, _KEYS.c.id))
            return [
                ApiKey(
                    id=row.id,
                    name=row.name,
                    hashes=tuple(hashes[row.id]),
                    limits=msgspec.json.decode(row.limits, type=KeyLimits),
                    created=row.created,
                    revoked=row.revoked,
                )
                for row in rows
            ]

    def create(self, name: str, limits: KeyLimits, now: float) -> tuple[ApiKey, str]:
        secret = new_secret()
        hashed = KeyHash(digest=digest_of(secret))
        key = ApiKey(id=new_id(), name=name, hashes=(hashed,), limits=limits, created=now)
        with self._reached() as connection:
            text = msgspec.json.encode(limits).decode()
            row = {"id": key.id, "name": name, "limits": text, "created": now}
            connection.execute(sql.insert(_KEYS).values(row))
            connection.execute(
                sql.insert(_HASHES).values({"digest": hashed.digest, "key_id": key.id})
            )
        return key, secret

    def revoke(self, key_id: str, now: float) -> None:
        with self._reached() as connection:
            mine = _KEYS.c.id == key_id
            done = connection.execute(sql.update(_KEYS).where(mine).values(revoked=now))
            if not done.rowcount:
                raise NotFound(f"there is no key {key_id!r}; `scepsy keys list` shows all")

    def rotate(self, key_id: str, keep_old: float, now: float) -> str:
        secret, ends = new_secret(), now + keep_old
        with self._reached() as connection:
            living = sql.select(_KEYS.c.id).where(_KEYS.c.id == key_id, _KEYS.c.revoked.is_(None))
            if connection.execute(living).first() is None:
                raise NotFound(f"there is no key {key_id!r} that works; make one instead")
            later = sql.or_(_HASHES.c.expires.is_(None), _HASHES.c.expires > ends)
            connection.execute(
                sql.update(_HASHES).where(_HASHES.c.key_id == key_id, later).values(expires=ends)
            )
            connection.execute(
                sql.insert(_HASHES).values({"digest": digest_of(secret), "key_id": key_id})
            )
        return secret

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reached(self) -> Generator[sql.Connection]:
        """A connection in a transaction, which is committed unless the block fails."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            # The driver's own words only: SQLAlchemy's have the statement and its values.
            said = str(error.orig).partition("\n")[0]
            message = f"the store of keys at {self._shown} cannot be used: {said}"
            raise Unreachable(message) from None


def _engine(url: str) -> sql.Engine:
    try:
        parts = sql.make_url(url)
    except exc.ArgumentError:
        raise BadInput(f"the store of keys {public_url(url)!r} is not a URL") from None
    if parts.drivername in ("postgresql", "postgres"):
        chosen = parts.set(drivername="postgresql+psycopg")
        return _each_anew(chosen, {"connect_timeout": _CONNECT})
    if parts.drivername != "sqlite" or not parts.database:
        raise BadInput(
            f"the store of keys {public_url(url)!r}: give sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE"
        )
    _private(Path(parts.database))
    return _each_anew(parts, {"timeout": _CONNECT})


def _each_anew(url: sql.URL, arguments: dict[str, int]) -> sql.Engine:
    """Every use makes a connection and closes it: uses are seconds apart, a server that was away
    leaves no dead connection behind, and a thread that a stop overtakes leaves none open.
    """
    return sql.create_engine(url, poolclass=sql.NullPool, connect_args=arguments)


def _private(path: Path) -> None:
    """Makes the file of a database that its owner alone may read. Raises BadInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BadInput(f"{path}, for keys: cannot be made: {error.strerror}") from error


def _migrate(connection: sql.Connection) -> None:
    """Brings the schema up to date. Raises BadInput where a newer version of Scepsy made it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    scripts = ScriptDirectory.from_config(config)
    options = {"version_table": "scepsy_keys_version"}  # as in migrations/env.py
    present = MigrationContext.configure(connection, opts=options).get_current_revision()
    known = {one.revision for one in scripts.walk_revisions()}
    if present is not None and present not in known:
        raise BadInput(
            f"the store of keys has schema {present}, which a newer version of Scepsy made"
        )
    if present != scripts.get_current_head():
        command.upgrade(config, "head")
