"""The schema of the store of keys, step by step; run by Alembic."""
