"""Alembic runs this file to apply the steps, in the connection that `sql_store` gives it."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table="scepsy_keys_version"
)
with context.begin_transaction():
    context.run_migrations()
