"""`scepsy keys`: makes, lists, revokes and rotates the API keys of gateways."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from scepsy.cli.key_stores import store_option, store_url
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import console, emit_json, json_option, table
from scepsy.core.record import Record
from scepsy.gateway.access.api_keys import ApiKey, KeyLimits
from scepsy.gateway.access.stores import open_store

_POSITIVE = FiniteRange(min=0, min_open=True)
_COUNT = click.IntRange(min=1)


class NewSecret(Record, frozen=True, kw_only=True):
    """A secret that was just made. It is shown this once, and kept nowhere."""

    id: str
    secret: str


@click.group("keys")
def command() -> None:
    """Make, list, revoke and rotate the API keys of gateways.

    The store keeps hashes of keys only. A change reaches every gateway of the store within two
    seconds.
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--workflow",
    "workflows",
    multiple=True,
    metavar="NAME",
    help="Allow only this workflow; repeat.",
)
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Allow only this LLM; repeat.")
@click.option("--requests-per-minute", type=_POSITIVE, help="Calls that may begin in a minute.")
@click.option("--tokens-per-minute", type=_POSITIVE, help="Tokens of prompts and answers together.")
@click.option("--calls", type=_COUNT, help="Calls at once.")
@click.option("--runs", type=_COUNT, help="Runs at once.")
@store_option
@json_option
def create(
    name: str,
    workflows: tuple[str, ...],
    llms: tuple[str, ...],
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    calls: int | None,
    runs: int | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Make a key for NAME, a person or a service, and print it. Without options it may do all."""
    limits = KeyLimits(
        workflows=workflows or None,
        llms=llms or None,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        calls_at_once=calls,
        runs_at_once=runs,
    )
    key, secret = open_store(store_url(store)).create(name, limits, time.time())
    _print_secret(NewSecret(id=key.id, secret=secret), as_json)


@command.command("list")
@store_option
@json_option
def list_keys(store: str | None, as_json: bool) -> None:
    """List all keys and what they may do. The keys themselves are kept nowhere."""
    keys = open_store(store_url(store)).load()
    if as_json:
        emit_json(keys)
        return
    rows = [(one.id, one.name, _state(one), _day(one.created), _limits(one.limits)) for one in keys]
    console().print(table("API keys", ("id", "name", "state", "made", "limits"), rows))


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@store_option
@json_option
def revoke(key_id: str, store: str | None, as_json: bool) -> None:
    """Let the key ID stop to work. Calls in flight end as usual."""
    open_store(store_url(store)).revoke(key_id, time.time())
    if as_json:
        emit_json({"revoked": key_id})
    else:
        click.echo(f"revoked {key_id}")


@command.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--keep-old",
    type=FiniteRange(min=0),
    default=0.0,
    show_default=True,
    help="Seconds for which the old secret works, too.",
)
@store_option
@json_option
def rotate(key_id: str, keep_old: float, store: str | None, as_json: bool) -> None:
    """Give the key ID a new secret, and print that. Limits and counts stay."""
    secret = open_store(store_url(store)).rotate(key_id, keep_old, time.time())
    _print_secret(NewSecret(id=key_id, secret=secret), as_json)


def _print_secret(made: NewSecret, as_json: bool) -> None:
    if as_json:
        emit_json(made)
        return
    click.echo(made.secret)
    click.echo(f"key {made.id}; it is shown this once, so keep it where secrets are kept", err=True)


def _state(key: ApiKey) -> str:
    return "works" if key.revoked is None else f"revoked {_day(key.revoked)}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _limits(limits: KeyLimits) -> str:
    named: Sequence[tuple[str, object]] = (
        ("workflows", limits.workflows and " ".join(limits.workflows)),
        ("LLMs", limits.llms and " ".join(limits.llms)),
        ("requests/min", limits.requests_per_minute),
        ("tokens/min", limits.tokens_per_minute),
        ("calls", limits.calls_at_once),
        ("runs", limits.runs_at_once),
    )
    return ", ".join(f"{name} {value}" for name, value in named if value is not None) or "none"
