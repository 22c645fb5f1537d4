"""Keys, and the hashes of their secrets."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "scepsy_keys",
        sql.Column("id", sql.String, primary_key=True),
        sql.Column("name", sql.String, nullable=False),
        sql.Column("limits", sql.String, nullable=False),
        sql.Column("created", sql.Double, nullable=False),
        sql.Column("revoked", sql.Double),
    )
    op.create_table(
        "scepsy_key_hashes",
        sql.Column("digest", sql.String, primary_key=True),
        sql.Column("key_id", sql.String, sql.ForeignKey("scepsy_keys.id"), nullable=False),
        sql.Column("expires", sql.Double),
    )
