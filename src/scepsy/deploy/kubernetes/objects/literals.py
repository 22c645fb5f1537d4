"""Words of commands and values of variables as containers have them, where the kubelet replaces
$(NAME) by the value of a variable (pure).
"""

from __future__ import annotations

POD_IP = "$(POD_IP)"
"""As the host on which an engine listens: the address of its own pod."""


def literal(word: str) -> str:
    """The word as it is written in a container, so that the process gets it unchanged; but
    `POD_IP`, which is to be replaced.
    """
    return word if word == POD_IP else word.replace("$", "$$")
