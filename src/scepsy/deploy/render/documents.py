"""Objects as YAML text; the same objects always give the same text (pure)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from scepsy.errors import NotFound

WIDTH = 100
"""Characters of a comment's line."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What YAML 1.1, which kubectl and others read, takes for a boolean or nothing."""


def yaml_stream(objects: Sequence[Any], comment: Sequence[str] = ()) -> str:
    """One YAML document for each object, after a comment of these sentences.

    Text is in double quotes unless every YAML reads it as text. Raises NotFound where PyYAML is not
    installed.
    """
    head = "".join(f"# {line}\n" for sentence in comment for line in _wrapped(sentence))
    return head + "".join(f"---\n{_yaml(one)}" for one in objects)


def _yaml(one: Any) -> str:
    try:
        import yaml
    except ImportError:
        raise NotFound(
            "YAML needs PyYAML: pip install 'scepsy[kubernetes]', or ask for --json"
        ) from None

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        style = None if plain else "|" if "\n" in value else '"'
        return dumper.represent_scalar(  # pyright: ignore[reportUnknownMemberType]
            "tag:yaml.org,2002:str", value, style=style
        )

    Dumper.add_representer(str, text)
    return yaml.dump(  # pyright: ignore[reportUnknownMemberType]
        one, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000, indent=2
    )


def _wrapped(sentence: str) -> list[str]:
    later = "  " if sentence.startswith("- ") else ""
    lines = textwrap.wrap(sentence, WIDTH - 2, subsequent_indent=later, break_on_hyphens=False)
    return lines or [""]
