"""What the server says when it will not answer, in vLLM's words and shape."""

from __future__ import annotations

import msgspec

_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class RequestRefused(Exception):
    """An HTTP error with an OpenAI-shaped body. `param` names the offending field.

    `kind` is its type where the status does not tell: what does not fit a request's schema is a
    "Bad Request", and its `param` a path from "body".
    """

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.kind = kind or _TYPES.get(status, "BadRequestError")

    def body(self) -> bytes:
        error = {
            "message": str(self),
            "type": self.kind,
            "param": self.param,
            "code": self.status,
        }
        return msgspec.json.encode({"error": error})
