"""Whether a request to the admin address is answered (pure).

The key is what protects it. `Host` and `Origin` are checked besides, so that a page in a browser
of this machine learns nothing, not even whether a key is right.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from scepsy.gateway.access.admin_access import KEY_HEADER
from scepsy.gateway.wire.errors import ErrorAnswer

ANY_NAME = "*"


def refusal(
    headers: Mapping[str, str], key: str, names: Collection[str] = ()
) -> ErrorAnswer | None:
    """Why a request is refused; None where it may be answered.

    `headers` must find names whatever their case. `names` are the host names by which the address
    may be called, beside `localhost` and IP addresses; `*` among them stands for all.
    """
    if "Origin" in headers:
        return ErrorAnswer(403, "pages of a browser may not use the admin address", "origin")
    if not is_known_host(headers.get("Host", ""), names):
        return ErrorAnswer(
            403, "the admin address is not called by that host name; use its IP address", "host"
        )
    if not hmac.compare_digest(_presented(headers).encode(), key.encode()):
        return ErrorAnswer(
            401, f"the admin key is missing or wrong; send it as {KEY_HEADER}", "invalid_admin_key"
        )
    return None


def is_known_host(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names an IP address, localhost, or one of `names`. A page whose name
    was made to resolve to this machine (DNS rebinding) sends its own name.
    """
    if ANY_NAME in names:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _presented(headers: Mapping[str, str]) -> str:
    own = headers.get(KEY_HEADER)
    if own is not None:
        return own
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""
