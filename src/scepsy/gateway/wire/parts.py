"""Content of prompts: text as text, and each image, audio or file as one short word.

An engine turns an image into a few hundred tokens, whatever the size of its base64. Counted as
text, one image would outweigh the whole prompt, so it is replaced by a word made from its hash.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from scepsy.gateway.wire.lenient_json import Json, compact, members

_NESTED_MAX = 16  # levels of lists and objects that are read; deeper values are hashed whole
_SMALL_JSON = 1024  # characters of JSON that are kept without searching them for media
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]{1024,}")
_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_MEDIA_FIELDS = frozenset(
    {
        *("image", "image_url", "input_image", "image_embeds", "images", "audio", "input_audio"),
        *("audio_url", "audio_embeds", "video", "video_url", "input_video", "file", "input_file"),
        *("file_data", "file_url", "file_id", "document", "inline_data", "source", "media", "pdf"),
    }
)
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal", "summary_text"})


def content_text(value: Json, depth: int = 0) -> str:
    """Text unchanged, parts one after another, media as one word each, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if depth > _NESTED_MAX:
        return _word("part", value)
    if isinstance(value, list):
        return "".join(content_text(part, depth + 1) for part in value)
    fields = members(value)
    kind = fields.get("type")
    media = [] if kind in _TEXT_TYPES else [name for name in fields if name in _MEDIA_FIELDS]
    plain = fields.get("text")
    if isinstance(plain, str) and plain:
        return plain + (_word(media[0], {name: fields[name] for name in media}) if media else "")
    if media and _is_media(kind, fields[media[0]]):
        return _word(media[0], value)
    if isinstance(fields.get("content"), list):  # a tool's result, a document of several parts
        return content_text(fields["content"], depth + 1)
    written = compact(value)
    return written if len(written) <= _SMALL_JSON else compact(_without_media(value, depth))


def _is_media(kind: Json, content: Json) -> bool:
    """Whether a field holds media. A JSON object of a tool may have a field `file`, too."""
    if isinstance(kind, str):
        return kind not in _TEXT_TYPES
    return isinstance(content, dict) or (isinstance(content, str) and _is_encoded(content))


def _is_encoded(text: str) -> bool:
    if text.startswith(("http://", "https://")):
        return True
    return bool(_DATA_URL.match(text) or _LONG_BASE64.fullmatch(text))


def _without_media(value: Json, depth: int) -> Json:
    """The value with each string that is encoded media replaced by a word."""
    if isinstance(value, str):
        encoded = len(value) >= _SMALL_JSON and _is_encoded(value)
        return _word("media", value) if encoded else value
    if depth > _NESTED_MAX:
        return _word("part", value)
    if isinstance(value, list):
        return [_without_media(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {name: _without_media(one, depth + 1) for name, one in value.items()}
    return value


def _word(name: str, value: Json) -> str:
    """One word for one part: equal parts have equal words."""
    digest = blake2b(compact(value).encode("utf-8", "surrogatepass"), digest_size=8)
    return f"[{name.removeprefix('input_').removesuffix('_url')}:{digest.hexdigest()}]"
