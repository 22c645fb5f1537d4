from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import pytest


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """A client that changes nothing on its own."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session
