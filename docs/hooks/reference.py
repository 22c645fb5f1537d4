"""Makes the reference pages from the code whenever the site is built, so they cannot drift."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

import click
import msgspec
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import scepsy
from scepsy import errors
from scepsy.cli.main import COMMANDS, cli
from scepsy.core import cluster, demand, llm, plan, profile, trace
from scepsy.core.record import Record
from scepsy.gateway.config import GatewayConfig

NOTE = "*This page is made from the code when the site is built.*\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page per entry of PAGES. MkDocs calls this."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def commands() -> str:
    parts = ["# Commands", NOTE, "Every command has `--json` for programs and `--help` for people."]
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
    yield inspect.cleandoc(command.help or "").replace("\b\n", "")
    rows = [
        record for one in command.get_params(context) if (record := one.get_help_record(context))
    ]
    yield _table(
        ("option", "meaning"), [(f"`{_cell(names)}`", _cell(text)) for names, text in rows]
    )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield f"### {path} {name}"
                yield from _command(inner, f"{path} {name}")


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def llms_toml() -> str:
    return _page(
        "# llms.toml",
        NOTE,
        "One `[[llms]]` table per LLM that your programs ask for by name. Sizes are those of the "
        "real weights. `architecture`, or the `config.json` in `model_path`, fills in what the "
        "table does not give. An unknown key is refused.",
        _record(llm.LlmSpec),
    )


def cluster_toml() -> str:
    return _page(
        "# cluster.toml",
        NOTE,
        "The machines that a plan may use. An unknown key is refused. For equal nodes no "
        "file is needed: `--cluster 2x8xh100` is two nodes of eight H100.",
        "## Top level",
        _record(cluster.Cluster),
        "## `[[nodes]]`, one table per machine",
        _record(cluster.Node),
    )


def files_() -> str:
    parts = [
        "# Files",
        NOTE,
        "Scepsy writes JSON and JSON lines, atomically, and refuses unknown fields in its "
        "own files. Times are seconds, sizes bytes, rates per second, unless a field's name ends "
        "otherwise.",
    ]
    for title, module in (
        ("Traces: calls.jsonl and runs.jsonl", trace),
        ("Demand", demand),
        ("Profile: profile.json", profile),
        ("Plan: plan.json", plan),
    ):
        parts.append(f"## {title}")
        for name, kind in vars(module).items():
            if (
                isinstance(kind, type)
                and issubclass(kind, Record)
                and kind.__module__ == module.__name__
            ):
                parts += [f"### {name}", _record(kind)]
    parts += ["## Gateway: gateway.json", "### GatewayConfig", _record(GatewayConfig)]
    return _page(*parts)


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
        ("1", "`error`", "A fault of Scepsy itself, with a traceback. Please report it."),
        *(
            (str(kind.exit_code), f"`{kind.code}`", _cell(inspect.getdoc(kind) or ""))
            for kind in kinds
        ),
        ("130", "", "Ctrl-C or SIGTERM; what was started has been stopped."),
    ]
    return _page(
        "# Exit codes",
        NOTE,
        "The numbers are stable. With `--json` an error is a JSON object on standard error: "
        '`{"error": {"code": ..., "message": ...}}`.',
        _table(("exit code", "code", "meaning"), rows),
    )


def python_api() -> str:
    parts = ["# Python API", NOTE, "`import scepsy` loads none of these until it is used."]
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
    """The docstring's prose, and a table of fields: type, default, meaning."""
    prose, meanings = _split(inspect.getdoc(kind) or "")
    rows = [
        (
            f"`{field.name}`",
            f"`{_cell(_type(kind, field.name))}`",
            _default(field),
            _cell(meanings.get(field.name, "")),
        )
        for field in msgspec.structs.fields(kind)
    ]
    return f"{_prose(prose)}\n\n" + _table(("key", "type", "default", "meaning"), rows)


def _type(kind: type, name: str) -> str:
    for base in kind.__mro__:
        found = inspect.get_annotations(base)
        if name in found:
            return str(found[name]).replace(" | ", " or ")
    return ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return f"`{field.default!r}`"
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
