"""Makes the reference pages from the code whenever the site is built, so they stay current."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType

import click
from api import NOTE, python_api
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from rendering import cell, code, page, record, table

from scepsy import errors
from scepsy.cli.main import COMMANDS, cli
from scepsy.core import cluster, demand, llm, plan, profile, trace
from scepsy.core.record import Record
from scepsy.core.recording import RecordingOptions
from scepsy.gateway.config import AdminConfig, GatewayConfig, HttpLimits, KeysConfig, Route
from scepsy.hardware.architectures import shipped
from scepsy.hardware.gpus import gpus


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
    return page(*parts)


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"    {path} {usage}"
    yield _with_examples(inspect.cleandoc(command.help or ""))
    rows = [
        record for one in command.get_params(context) if (record := one.get_help_record(context))
    ]
    yield table(("option", "meaning"), [(code(names), cell(text)) for names, text in rows])
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


def llms_toml() -> str:
    return page(
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
        record(llm.LlmSpec),
        "## `[llms.experts]`, for a mixture of experts",
        record(llm.Experts),
    )


def cluster_toml() -> str:
    return page(
        "# cluster.toml",
        NOTE,
        "The machines that a plan may use. An unknown key is refused. "
        "[`scepsy cluster discover`](../guides/find-gpus.md) writes the file. If all nodes are "
        "equal, none is needed: `--cluster 2x8xh100` means two nodes of eight H100 each.",
        "```toml\ngpu_memory = 80e9\n\n[[nodes]]\n"
        'name = "node-0"\ngpus = 8\ngpu_type = "h100"\n```',
        "Known GPU types: " + ", ".join(f"`{name}`" for name in sorted(gpus())) + ".",
        "## Top level",
        record(cluster.Cluster),
        "## `[[nodes]]`, one table per machine",
        record(cluster.Node),
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
        ("Traces: calls*.jsonl and runs*.jsonl", trace),
        ("Demand", demand),
        ("Profile: profile.json", profile),
        ("Plan: plan.json", plan),
    ):
        parts.append(f"## {title}")
        for kind in _records(module):
            parts += [f"### {kind.__name__}", record(kind)]
    parts.append("## Gateway: gateway.json")
    for kind in (GatewayConfig, AdminConfig, KeysConfig, HttpLimits, RecordingOptions, Route):
        parts += [f"### {kind.__name__}", record(kind)]
    return page(*parts)


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
            (str(kind.exit_code), f"`{kind.code}`", cell(inspect.getdoc(kind) or ""))
            for kind in kinds
        ),
        ("130", "", "Ctrl-C or SIGTERM. The processes that the command had started are stopped."),
    ]
    return page(
        "# Exit codes",
        NOTE,
        "The numbers are stable. With `--json` an error is a JSON object on standard error: "
        '`{"error": {"code": ..., "message": ...}}`.',
        table(("exit code", "code", "meaning"), rows),
    )


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/llms-toml.md": llms_toml,
    "reference/cluster-toml.md": cluster_toml,
    "reference/files.md": files_,
    "reference/exit-codes.md": exit_codes,
    "reference/python-api.md": python_api,
}
