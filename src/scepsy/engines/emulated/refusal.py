"""What the server says when it will not answer, in vLLM's words and shape."""

from __future__ import annotations

import msgspec

_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class Refusal(Exception):
    """An HTTP error with an OpenAI-shaped body. `param` names the offending field."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param

    def body(self) -> bytes:
        error = {
            "message": str(self),
            "type": _TYPES.get(self.status, "BadRequestError"),
            "param": self.param,
            "code": self.status,
        }
        return msgspec.json.encode({"error": error})
