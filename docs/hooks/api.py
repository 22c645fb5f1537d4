"""The reference page of the Python API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

from rendering import page, prose, split

import scepsy
from scepsy.core.record import Record

NOTE = "*This page is made from the code when the site is built.*\n"

EXAMPLE = """from pathlib import Path

import scepsy

llama = scepsy.LlmSpec(
    name="writer", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128
)
found = scepsy.plan(
    scepsy.read_traces(Path("traces")).traces,
    scepsy.read_profile(Path("profile.json")),
    [llama],
    scepsy.Cluster(nodes=(scepsy.Node(name="node-0", gpus=2),)),
    [scepsy.Target(workflow="agent", rate=2.0)],
)
if isinstance(found, scepsy.Infeasible):
    print(found.reason)
else:
    print(found.prediction.workflows[0].latency_mean)
"""


def python_api() -> str:
    parts = [
        "# Python API",
        NOTE,
        "These names are the whole public API. `import scepsy` imports each of them when it is "
        "first used.",
        f"```python\n{EXAMPLE}```",
    ]
    for name in scepsy.__all__:
        thing = getattr(scepsy, name)
        parts.append(f"## scepsy.{name}")
        if inspect.isfunction(thing):
            parts.append(f"```python\n{name}{_signature(thing)}\n```")
        if isinstance(thing, type) and issubclass(thing, Record):
            text, _ = split(inspect.getdoc(thing) or "")
            parts += [
                prose(text),
                f"Its fields are in [{FIELDS.get(name, 'Files')}]({_page_of(name)}).",
            ]
        else:
            parts.append(prose(inspect.getdoc(thing) or ""))
            parts += _methods(name, thing)
    return page(*parts)


def _methods(name: str, thing: object) -> Iterator[str]:
    """The public methods of a class that have a docstring."""
    for method, function in vars(thing).items() if isinstance(thing, type) else ():
        if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
            yield f"### {name}.{method}"
            yield f"```python\n{method}{_signature(function)}\n```"
            yield prose(inspect.getdoc(function) or "")


FIELDS = {"LlmSpec": "llms.toml", "Cluster": "cluster.toml", "Node": "cluster.toml"}
"""Records whose fields have a page of their own; the others are on the page Files."""


def _page_of(name: str) -> str:
    if name in FIELDS:
        return FIELDS[name].replace(".", "-") + ".md"
    return f"files.md#{name.lower()}"


def _signature(function: Callable[..., object]) -> str:
    shown = inspect.signature(function)
    parameters = list(_parameters(shown))
    result = f" -> {shown.return_annotation}"
    flat = f"({', '.join(parameters)}){result}"
    if len(flat) < 70:
        return flat
    inner = ",\n    ".join(parameters)
    return f"(\n    {inner},\n){result}"


def _parameters(shown: inspect.Signature) -> Iterator[str]:
    starred = False
    for one in shown.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        text = one.name
        if one.annotation is not one.empty:
            text += f": {one.annotation}"
        if one.default is not one.empty:
            text += " = ..." if callable(one.default) else f" = {one.default!r}"
        yield text
