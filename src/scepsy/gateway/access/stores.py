"""Opens the store of keys that a URL names."""

from __future__ import annotations

import importlib
from typing import Any

from scepsy.errors import NotFound
from scepsy.gateway.access.key_store import KeyStore


def open_store(url: str) -> KeyStore:
    """The store at `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`; its schema is made, or
    brought up to date. Blocks.

    Raises:
        NotFound: the extra is not installed.
        BadInput: it is no such URL, the file cannot be made, or its schema is a newer version's.
        Unreachable: the database does not answer.
    """
    try:
        module: Any = importlib.import_module("scepsy.gateway.access.sql_store")
    except ImportError as error:
        raise NotFound(
            f"API keys need {error.name}, which is not installed; run `pip install 'scepsy[keys]'`"
        ) from None
    return module.SqlKeyStore(url)
