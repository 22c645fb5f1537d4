"""Decodes compressed bodies, whole or piece by piece, within limits."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Protocol

# Zstandard and Brotli expand without a bound of their own: small pieces of input keep what one
# step can produce below about 20 MB.
_PIECE_BYTES = 512
_LIMIT_BYTES = 256 << 20  # decoded bytes of one body; a larger body is refused or not read


class CannotDecode(Exception):
    """A body does not match its Content-Encoding, is cut short or is too large."""


class UnknownEncoding(CannotDecode):
    """A Content-Encoding that cannot be read here."""


class _Inflater(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class Decoder:
    """Decodes a body as it arrives, one Content-Encoding after the other."""

    def __init__(self, encoding: str) -> None:
        """Raises UnknownEncoding."""
        self._steps = [_inflater(name) for name in reversed(_names(encoding))]
        self._produced = 0

    def feed(self, content: bytes) -> bytes:
        """The decoded bytes that follow from `content`. Raises CannotDecode."""
        for step in self._steps:
            pieces: list[bytes] = []
            for start in range(0, len(content), _PIECE_BYTES):
                pieces.append(_step(step, content[start : start + _PIECE_BYTES]))
                self._produced += len(pieces[-1])
                if self._produced > _LIMIT_BYTES:
                    raise CannotDecode(f"it has more than {_LIMIT_BYTES >> 20} MiB when decoded")
            content = b"".join(pieces)
        return content

    def finish(self) -> None:
        """No more bytes follow. Raises CannotDecode where the body is cut short."""
        if not all(map(_is_complete, self._steps)):
            raise CannotDecode("it is cut short")


def decoded(content: bytes, encoding: str) -> bytes:
    """A whole body without its Content-Encoding. Raises CannotDecode."""
    if not _names(encoding):
        return content
    decoder = Decoder(encoding)
    whole = decoder.feed(content)
    decoder.finish()
    return whole


def known_encodings() -> tuple[str, ...]:
    """Encodings that can be decoded: gzip and deflate, and others whose libraries are installed."""
    return ("gzip", "deflate", *(name for name, make in _OPTIONAL.items() if make() is not None))


def accepts(accept_encoding: str, encoding: str) -> bool:
    """Whether a caller that sent this Accept-Encoding can read a body in `encoding`."""
    wanted: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        wanted[name.strip()] = weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00")
    return all(wanted.get(name, wanted.get("*", False)) for name in _names(encoding))


def _names(encoding: str) -> list[str]:
    names = [name.strip().lower().removeprefix("x-") for name in encoding.split(",")]
    return [name for name in names if name not in ("", "identity")]


def _step(inflater: _Inflater, piece: bytes) -> bytes:
    try:
        return inflater.decompress(piece)
    except Exception as error:
        raise CannotDecode(f"it cannot be decoded: {error}") from error


def _is_complete(inflater: _Inflater) -> bool:
    """Whether the end of the compressed data was seen; true where its library does not tell."""
    finished = getattr(inflater, "is_finished", None)  # Brotli
    return bool(finished()) if finished is not None else bool(getattr(inflater, "eof", True))


def _inflater(name: str) -> _Inflater:
    if name == "gzip":
        return _Members()
    if name == "deflate":
        return _Deflate()
    made = _OPTIONAL[name]() if name in _OPTIONAL else None
    if made is None:
        raise UnknownEncoding(f"its encoding {name!r} cannot be read here")
    return made


class _Members:
    """Gzip: one member after another."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, data: bytes, /) -> bytes:
        content = b""
        while data:
            if self._zlib.eof:
                self._zlib = zlib.decompressobj(wbits=31)
            content += self._zlib.decompress(data)
            data = self._zlib.unused_data
        return content


class _Deflate:
    """Deflate with the header of zlib, as the standard says, or without it, as some servers send
    it.
    """

    def __init__(self) -> None:
        self._zlib: _Inflater | None = None

    @property
    def eof(self) -> bool:
        return self._zlib is not None and _is_complete(self._zlib)

    def decompress(self, data: bytes, /) -> bytes:
        if self._zlib is None:
            self._zlib = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        return self._zlib.decompress(data)


def _zstandard() -> _Inflater | None:
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module).ZstdDecompressor()
        except ImportError:
            continue
    try:
        return importlib.import_module("zstandard").ZstdDecompressor().decompressobj()
    except ImportError:
        return None


def _brotli() -> _Inflater | None:
    try:
        return importlib.import_module("brotli").Decompressor()
    except ImportError:
        return None


_OPTIONAL: dict[str, Callable[[], _Inflater | None]] = {"zstd": _zstandard, "br": _brotli}
