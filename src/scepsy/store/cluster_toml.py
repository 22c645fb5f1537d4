"""A cluster as the TOML that `read_cluster` reads, with comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from scepsy.core.cluster import Cluster, Node

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_COLUMNS = 98


def cluster_toml(cluster: Cluster, comments: Iterable[str] = ()) -> str:
    """The text of a cluster file. Comments come first, a paragraph each."""
    tables = ("\n".join(_table(node)) for node in cluster.nodes)
    head = [*map(_comment, comments), f"gpu_memory = {cluster.gpu_memory!r}  # bytes of one GPU"]
    return "\n".join(head) + "\n\n" + "\n\n".join(tables) + "\n"


def _table(node: Node) -> Iterator[str]:
    """The keys that differ from their defaults, and those that every reader looks for."""
    yield "[[nodes]]"
    yield f"name = {_string(node.name)}"
    yield f"gpus = {node.gpus}"
    yield f"gpu_type = {_string(node.gpu_type)}"
    if node.nvlink_domain is not None:
        yield f"nvlink_domain = {node.nvlink_domain}"
    if node.taken:
        yield f"taken = [{', '.join(map(str, node.taken))}]"
    if node.rack is not None:
        yield f"rack = {_string(node.rack)}"
    if node.shares_per_gpu is not None:
        yield f"shares_per_gpu = {node.shares_per_gpu}"
    if node.uuids:
        yield "uuids = ["
        yield from (f"    {_string(uuid)}," for uuid in node.uuids)
        yield "]"


def _comment(text: str) -> str:
    """One paragraph, with whatever could end a comment replaced."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return textwrap.fill(plain, _COLUMNS, initial_indent="# ", subsequent_indent="# ")


def _string(text: str) -> str:
    """A basic string: what TOML does not allow in one is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char.isprintable() or ord(char) >= 0xA0 else f"\\u{ord(char):04X}"
