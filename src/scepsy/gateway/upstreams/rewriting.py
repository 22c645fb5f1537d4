"""The changes that the gateway makes to requests and headers; everything else passes byte for
byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from scepsy.gateway.identity.labels import (
    OWN_HEADERS,
    OWN_METADATA,
    baggage_members,
    is_own_baggage,
)
from scepsy.gateway.wire.lenient_json import members
from scepsy.gateway.wire.requests import ApiRequest

_DROPPED = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",  # the server has decoded the body
        "accept-encoding",  # the gateway asks for identity, so that it can read the answer
        "expect",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key", "cookie"})
_Fields = dict[str, msgspec.Raw]


def usage_is_hidden(asked: ApiRequest) -> bool:
    """Whether the engine reports token counts only if asked to: streams of chat and completions."""
    options = members(asked.fields.get("stream_options"))
    speaks = asked.endpoint in ("chat", "completions")
    return asked.stream and speaks and options.get("include_usage") is not True


def body_for_engine(
    body: bytes, asked: ApiRequest, *, ask_usage: bool, priority: int | None = None
) -> bytes:
    """The caller's bytes, with the fields that the gateway adds and without its own metadata.

    All other fields keep their bytes. A body that only a lenient reader accepts stays unchanged.
    `priority` is put before all other fields, unless the caller has set it.
    """
    kept = _rewritten(body, asked, ask_usage=ask_usage)
    start = kept.lstrip()
    if priority is None or "priority" in asked.fields or not start.startswith(b"{"):
        return kept
    if start[1:2] == b"\0":  # UTF-16
        return kept
    return b'{"priority":%d,' % priority + start[1:]


def _rewritten(body: bytes, asked: ApiRequest, *, ask_usage: bool) -> bytes:
    own_metadata = any(map(_is_own, members(asked.fields.get("metadata"))))
    if not (ask_usage or own_metadata):
        return body
    try:
        fields = msgspec.json.decode(body, type=_Fields)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    if ask_usage:
        options = _object(fields.get("stream_options"))
        options["include_usage"] = msgspec.Raw(b"true")
        fields["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    if own_metadata:
        kept = {k: v for k, v in _object(fields.pop("metadata")).items() if not _is_own(k)}
        if kept:
            fields["metadata"] = msgspec.Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(fields)


def headers_for_engine(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The caller's headers without hop-by-hop headers and without the gateway's own."""
    passed = [
        (name, kept)
        for name, value in headers
        if (kept := _kept_value(name.lower(), value)) is not None
    ]
    return [*passed, ("Accept-Encoding", "identity")]


def without_credentials(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers without the caller's credentials."""
    return [(name, value) for name, value in headers if name.lower() not in _CREDENTIALS]


def with_key(headers: Iterable[tuple[str, str]], key: str) -> list[tuple[str, str]]:
    """The headers with `key` in place of the caller's credentials."""
    return [*without_credentials(headers), ("Authorization", f"Bearer {key}")]


def headers_for_caller(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The engine's headers without hop-by-hop headers."""
    encoding = "content-encoding"  # the body is passed on unchanged
    return [
        (name, value)
        for name, value in headers.items()
        if name.lower() not in _DROPPED or name.lower() == encoding
    ]


def _kept_value(name: str, value: str) -> str | None:
    if name in _DROPPED or name.startswith(OWN_HEADERS):
        return None
    if name != "baggage":
        return value
    kept = [raw for raw, key, _ in baggage_members(value) if not is_own_baggage(key)]
    return ",".join(kept) or None


def _object(raw: msgspec.Raw | None) -> _Fields:
    """An object's fields; empty if the value is null or not an object."""
    if raw is None or not bytes(raw).lstrip().startswith(b"{"):
        return {}
    return msgspec.json.decode(raw, type=_Fields)


def _is_own(key: str) -> bool:
    return key.startswith(OWN_METADATA)
