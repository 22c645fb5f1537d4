"""The `scepsy` command: finds the subcommand, turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import click
import msgspec

from scepsy.cli.terminal import echo, escaped_json
from scepsy.errors import BadInput, ScepsyError, did_you_mean, first_of

COMMANDS = {
    "demo": "the whole job on this machine, on emulated engines",
    "trace": "run a program and record its LLM calls",
    "traces": "what a trace directory holds",
    "import": "make a trace directory of other tools' traces",
    "export": "write traces as OTLP, or to be drawn by Perfetto",
    "profile": "measure the LLMs' engines by replaying traced calls",
    "estimate": "profiles of GPUs that are not at hand",
    "profiles": "list, compare and draw profiles",
    "cluster": "find out which GPUs there are, and write a cluster file",
    "plan": "decide GPU share, TP, replicas and place of every LLM",
    "simulate": "what a plan does under load, in simulated time",
    "deploy": "start the engines of a plan, and a gateway to them",
    "status": "what a deployment is doing",
    "down": "stop a deployment and leave nothing behind",
    "render": "a plan as objects of Kubernetes and others",
    "ray": "start a Ray cluster for plans",
    "drive": "load workflows open-loop and measure them",
    "gateway": "record and route LLM calls",
    "keys": "the API keys of gateways",
}
_MODULES = {"import": "import_"}  # a word of the language
INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command as Ctrl-C does."""


class LazyGroup(click.Group):
    """Imports a command's module only when it is the one that was asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = _MODULES.get(cmd_name, cmd_name)
        return importlib.import_module(f"scepsy.cli.{module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if args and name not in COMMANDS and not name.startswith("-"):
            hint = did_you_mean(name, list(COMMANDS)) or "; see `scepsy --help`"
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scepsy")
def cli() -> None:
    """Plans, deploys and routes the LLMs of agentic workflows on a GPU cluster."""


def main() -> None:
    """Entry point. Exit codes are those of the error tree (scepsy.errors); 130 after Ctrl-C."""
    try:
        with _ending_as_ctrl_c():
            status: object = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`scepsy traces DIR | head`).
        sys.stderr.close()
        sys.exit(0)
    except (ScepsyError, OSError, BaseExceptionGroup) as error:
        ours = _told(error)
        if ours is None:
            raise
        _report(ours)
        sys.exit(ours.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _told(
    error: ScepsyError | OSError | BaseExceptionGroup[BaseException],
) -> ScepsyError | None:
    """The error as one line for people. An error of the operating system is one where it names a
    file, or the disk is full. None for what is a fault of ours.
    """
    found = first_of(error) if isinstance(error, BaseExceptionGroup) else error
    if isinstance(found, OSError) and (found.filename is not None or found.errno in _NO_ROOM):
        return BadInput(f"{found.filename or 'a file'}: cannot be used: {found.strerror}")
    return found if isinstance(found, ScepsyError) else None


@contextmanager
def _ending_as_ctrl_c() -> Generator[None]:
    """Within it, SIGTERM and SIGHUP end the command as Ctrl-C does, which stops every process that
    it started.
    """
    before = {number: signal.signal(number, _as_ctrl_c) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _default_in_forked_child() -> None:
    """A child that a driven program forks ends by these signals at once. With a handler in Python,
    a worker of multiprocessing.Pool may wait for a lock for ever while its pool waits for it.
    """
    for number in _ENDING:
        if signal.getsignal(number) is _as_ctrl_c:
            signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_default_in_forked_child)


def _as_ctrl_c(_signal: int, _frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so it is for a job of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _report(error: ScepsyError) -> None:
    if "--json" in sys.argv:
        body = {"error": {"code": error.code, "message": str(error)}}
        click.echo(escaped_json(msgspec.json.encode(body).decode()), err=True)
    else:
        echo(f"scepsy: {error}", err=True)
