"""The errors of the emulated engine, in vLLM's words and format."""

from __future__ import annotations

import msgspec

_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class RequestRefused(Exception):
    """An HTTP error with a body in OpenAI's format. `param` names the field at fault.

    `kind` is the error's type where it does not follow from the status: a request that does not
    match the schema is a "Bad Request", and its `param` is a path from "body".
    """

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.kind = kind or _TYPES.get(status, "BadRequestError")

    def body(self, *, anthropic: bool = False) -> bytes:
        """`anthropic`: in the form of Anthropic's API."""
        if anthropic:
            said = {"type": self.kind, "message": str(self)}
            return msgspec.json.encode({"type": "error", "error": said})
        error = {
            "message": str(self),
            "type": self.kind,
            "param": self.param,
            "code": self.status,
        }
        return msgspec.json.encode({"error": error})
