"""Makes the reference pages from the code whenever the site is built, so they stay current."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Literal, cast, get_args, get_origin

import click
import msgspec
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import scepsy
from scepsy import errors
from scepsy.cli.main import COMMANDS, cli
from scepsy.core import cluster, demand, llm, plan, profile, trace
from scepsy.core.record import Record
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.hardware.architectures import shipped
from scepsy.hardware.gpus import gpus

NOTE = "*This page is made from the code when the site is built.*\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page per entry of PAGES. MkDocs calls this."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def commands() -> str:
    parts = [
        "# Commands",
        NOTE,
        "Every command has `--json`, which prints JSON for programs, and `--help`.",
    ]
    for name, summary in COMMANDS.items():
        context = click.Context(cli, info_name="scepsy")
        command = cli.get_command(context, name)
        assert command is not None
        parts += [
            f"## scepsy {name}",
            summary[0].upper() + summary[1:] + ".",
            *_command(command, f"scepsy {name}"),
        ]
    return _page(*parts)


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"    {path} {usage}"
    yield _with_examples(inspect.cleandoc(command.help or ""))
    rows = [
        record for one in command.get_params(context) if (record := one.get_help_record(context))
    ]
    yield _table(("option", "meaning"), [(_code(names), _cell(text)) for names, text in rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield f"### {path} {name}"
                yield from _command(inner, f"{path} {name}")


def _with_examples(help_text: str) -> str:
    """Help whose indented paragraphs (example commands) are blocks of code."""
    return "\n\n".join(
        textwrap.indent(textwrap.dedent(one), "    ") if one.startswith(" ") else one
        for one in help_text.replace("\b\n", "").split("\n\n")
    )


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def llms_toml() -> str:
    return _page(
        "# llms.toml",
        NOTE,
        "One `[[llms]]` table per LLM that your programs ask for by name. Only `name` is required, "
        "and a size: `architecture`, or the `config.json` in `model_path`, fills in the keys that "
        "the table does not give; without either, give `parameters` and the shape. An unknown key "
        "is refused.",
        "```toml\n[[llms]]\n"
        'name = "generator"             # the name that programs ask for\n'
        'engine = "vllm"\n'
        'architecture = "qwen3-32b"     # a shape that ships with Scepsy\n```',
        "Names of architectures that ship with Scepsy: "
        + ", ".join(f"`{name}`" for name in sorted(shipped()))
        + ".",
        "## `[[llms]]`, one table per LLM",
        _record(llm.LlmSpec),
        "## `[llms.experts]`, for a mixture of experts",
        _record(llm.Experts),
    )


def cluster_toml() -> str:
    return _page(
        "# cluster.toml",
        NOTE,
        "The machines that a plan may use. An unknown key is refused. If all nodes are equal, no "
        "file is needed: `--cluster 2x8xh100` means two nodes of eight H100 each.",
        "```toml\ngpu_memory = 80e9\n\n[[nodes]]\n"
        'name = "node-0"\ngpus = 8\ngpu_type = "h100"\n```',
        "Known GPU types: " + ", ".join(f"`{name}`" for name in sorted(gpus())) + ".",
        "## Top level",
        _record(cluster.Cluster),
        "## `[[nodes]]`, one table per machine",
        _record(cluster.Node),
    )


def files_() -> str:
    parts = [
        "# Files",
        NOTE,
        "Scepsy writes JSON and JSON lines, and refuses unknown fields when it reads its own "
        "files. Times are in seconds, sizes in bytes and rates per second, unless the name of a "
        "field has another unit as its suffix (`_ms`).",
    ]
    for title, module in (
        ("Traces: calls.jsonl and runs.jsonl", trace),
        ("Demand", demand),
        ("Profile: profile.json", profile),
        ("Plan: plan.json", plan),
    ):
        parts.append(f"## {title}")
        for kind in _records(module):
            parts += [f"### {kind.__name__}", _record(kind)]
    parts.append("## Gateway: gateway.json")
    for kind in (GatewayConfig, Route):
        parts += [f"### {kind.__name__}", _record(kind)]
    return _page(*parts)


def _records(module: ModuleType) -> Iterator[type]:
    for kind in vars(module).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, Record)
            and kind.__module__ == module.__name__
        ):
            yield kind


def exit_codes() -> str:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.ScepsyError)
        and kind is not errors.ScepsyError
    ]
    rows = [
        ("0", "", "The command did what it was asked to do."),
        ("1", "`error`", "A fault of Scepsy itself; it prints a traceback. Please report it."),
        *(
            (str(kind.exit_code), f"`{kind.code}`", _cell(inspect.getdoc(kind) or ""))
            for kind in kinds
        ),
        ("130", "", "Ctrl-C or SIGTERM. The processes that the command had started are stopped."),
    ]
    return _page(
        "# Exit codes",
        NOTE,
        "The numbers are stable. With `--json` an error is a JSON object on standard error: "
        '`{"error": {"code": ..., "message": ...}}`.',
        _table(("exit code", "code", "meaning"), rows),
    )


def python_api() -> str:
    parts = [
        "# Python API",
        NOTE,
        "These names are the whole public API. `import scepsy` imports each of them when it is "
        "first used.",
    ]
    for name in scepsy.__all__:
        thing = getattr(scepsy, name)
        parts.append(f"## scepsy.{name}")
        if inspect.isfunction(thing):
            parts.append(f"```python\n{name}{_signature(thing)}\n```")
        if isinstance(thing, type) and issubclass(thing, msgspec.Struct):
            parts.append(_record(thing))
        else:
            parts.append(_prose(inspect.getdoc(thing) or ""))
    return _page(*parts)


def _signature(function: Callable[..., object]) -> str:
    shown = inspect.signature(function)
    flat = str(shown)
    if len(flat) < 80:
        return flat
    inner = ",\n    ".join(_parameters(shown))
    return f"(\n    {inner},\n) -> {shown.return_annotation}"


def _parameters(shown: inspect.Signature) -> Iterator[str]:
    starred = False
    for one in shown.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield str(one)


def _record(kind: type) -> str:
    """The docstring's prose, and a table of fields: type, default, meaning.

    Raises ValueError, which fails the build, for a field whose meaning the docstring lacks.
    """
    prose, meanings = _split(inspect.getdoc(kind) or "")
    fields = msgspec.structs.fields(kind)
    if missing := [field.name for field in fields if not meanings.get(field.name)]:
        raise ValueError(f"{kind.__name__} has no meaning for {', '.join(missing)}")
    rows = [
        (
            _code(field.name),
            _code(_type(field.type)),
            _default(field),
            _cell(meanings[field.name]),
        )
        for field in fields
    ]
    return f"{_prose(prose)}\n\n" + _table(("key", "type", "default", "meaning"), rows)


def _type(kind: object) -> str:
    """A type in the words of a file: the values of a Literal, "text", "list of Slice", ..."""
    words = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        type(None): "None",
    }
    if kind in words:
        return words[cast(Any, kind)]
    of = get_args(kind)
    match get_origin(kind):
        case origin if origin is Literal:
            return " or ".join(f'"{value}"' for value in of)
        case origin if origin is tuple:
            inner = [_type(one) for one in of if one is not ...]
            return f"list of {inner[0]}" if ... in of else f"[{', '.join(inner)}]"
        case origin if origin is dict:
            return f"table of {_type(of[1])} by {_type(of[0])}"
        case None:
            return kind.__name__ if isinstance(kind, type) else str(kind)
        case _:  # a union, or an Annotated type with its bounds
            return " or ".join(_type(one) for one in of if not isinstance(one, msgspec.Meta))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return _code(repr(field.default))
    return "empty" if field.default_factory is not msgspec.NODEFAULT else "required"


def _split(doc: str) -> tuple[str, dict[str, str]]:
    """Prose of a docstring, and what its Attributes section says of each name."""
    before, _, after = doc.partition("Attributes:\n")
    section, _, rest = textwrap.dedent(after).partition("\n\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n(?! )", section):
        names, _, meaning = " ".join(entry.split()).partition(": ")
        for name in names.split(", "):
            meanings[name] = meaning
    return f"{before.strip()}\n\n{rest.strip()}".strip(), meanings


def _prose(text: str) -> str:
    return text.replace("<", "&lt;")


def _code(text: str) -> str:
    """Code in a cell of a table: a bar needs no escape there."""
    return f"`{' '.join(text.split())}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/llms-toml.md": llms_toml,
    "reference/cluster-toml.md": cluster_toml,
    "reference/files.md": files_,
    "reference/exit-codes.md": exit_codes,
    "reference/python-api.md": python_api,
}
