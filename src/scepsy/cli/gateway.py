"""`scepsy gateway`: the gateway alone, in front of any OpenAI-compatible server."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Literal

import click
import msgspec

from scepsy.cli.admin_files import admin_config, announced
from scepsy.cli.key_stores import store_option, store_url
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import json_option
from scepsy.core.recording import RecordingOptions
from scepsy.deploy.kubernetes.following import follow
from scepsy.gateway.access.opening import is_loopback, keys_are_asked_for
from scepsy.gateway.config import GRACE, GatewayConfig, KeysConfig
from scepsy.gateway.governed import GovernedGateway
from scepsy.gateway.processes.serving import serve_processes
from scepsy.gateway.server import run, serve


@click.command("gateway")
@click.option(
    "--upstream",
    envvar="OPENAI_BASE_URL",
    metavar="URL",
    help="Server that answers the calls.  [default: $OPENAI_BASE_URL]",
)
@click.option(
    "--kubernetes-deployment",
    "deployment",
    metavar="NAME",
    help="Follow the routes of this deployment and the EndpointSlices of its engines, inside the "
    "cluster that they are in. There is no --upstream then.",
)
@click.option(
    "--kubernetes-namespace",
    "namespace",
    help="Namespace of that deployment.  [default: that of this pod, or of the kubeconfig]",
)
@click.option(
    "--kubernetes-routes",
    "table",
    metavar="CONFIGMAP",
    help="ConfigMap with its routes.  [default: NAME-routes]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--traces", type=click.Path(path_type=Path), help="Record calls into this directory.")
@click.option(
    "--workflow", default="default", show_default=True, help="Workflow of calls that name none."
)
@click.option(
    "--record-content", is_flag=True, help="Record prompts and answers, not only digests of them."
)
@click.option(
    "--redact",
    multiple=True,
    metavar="PATTERN",
    help="Regular expression; what it matches is not recorded. May be given several times. Keys, "
    "tokens and passwords of URLs are never recorded.",
)
@click.option(
    "--admin-host",
    default="127.0.0.1",
    show_default=True,
    help="Address for metrics and status, and to change routes.",
)
@click.option(
    "--admin-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port for them; 0 picks a free one.  [default: 0]",
)
@click.option(
    "--admin-name",
    "admin_names",
    metavar="HOST",
    multiple=True,
    help="Host name by which the admin address may be called, beside localhost and IP addresses; "
    "* allows all. Repeatable.",
)
@click.option(
    "--api-key-env",
    "key_variables",
    metavar="VARIABLE",
    multiple=True,
    help="Environment variable that routes may name as the key of a hosted endpoint. Repeatable.",
)
@click.option(
    "--trace-file-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=64.0,
    show_default=True,
    help="Close a trace file at this size, in MB, compress it, and begin another one.",
)
@click.option(
    "--trace-file-hours",
    type=click.FloatRange(min=0, min_open=True),
    default=24.0,
    show_default=True,
    help="Close a trace file at this age, in hours.",
)
@click.option(
    "--trace-keep-days",
    type=click.FloatRange(min=0, min_open=True),
    help="Remove closed trace files whose last record is older.  [default: keep all]",
)
@click.option(
    "--trace-keep-gb",
    type=click.FloatRange(min=0, min_open=True),
    help="Remove the oldest closed trace files beyond this size together, in GB.  "
    "[default: keep all]",
)
@click.option(
    "--trace-sample",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="Fraction of runs to record: whole runs or nothing of them.",
)
@click.option(
    "--grace",
    type=FiniteRange(0, 86400),
    default=GRACE,
    show_default=True,
    metavar="SECONDS",
    help="Seconds in which calls in flight may finish when the gateway is told to stop.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Gateway processes that share the port: one per core that the gateway may use.",
)
@click.option(
    "--upstream-key-env",
    metavar="VARIABLE",
    help="Environment variable with the key for --upstream, sent instead of the caller's.",
)
@click.option(
    "--keys",
    "keys_mode",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether callers need an API key (`scepsy keys`); auto: unless --host is loopback.",
)
@store_option
@json_option
def command(
    upstream: str | None,
    deployment: str | None,
    namespace: str | None,
    table: str | None,
    host: str,
    port: int,
    traces: Path | None,
    workflow: str,
    record_content: bool,
    redact: tuple[str, ...],
    admin_host: str,
    admin_port: int,
    admin_names: tuple[str, ...],
    key_variables: tuple[str, ...],
    upstream_key_env: str | None,
    keys_mode: Literal["auto", "on", "off"],
    store: str | None,
    trace_file_mb: float,
    trace_file_hours: float,
    trace_keep_days: float | None,
    trace_keep_gb: float | None,
    trace_sample: float,
    grace: float,
    processes: int,
    as_json: bool,
) -> None:
    """Pass LLM calls on to URL, or to the engines of a deployment on Kubernetes, and record each
    call. The command runs until it is stopped.

    Metrics and status are at the admin address that it prints. They need the admin key: that of
    $SCEPSY_ADMIN_KEY, or a new one in the file that it prints.
    """
    if deployment is None and upstream is None:
        raise click.UsageError("give --upstream URL, set OPENAI_BASE_URL, or follow a deployment")
    config = GatewayConfig(
        host=host,
        port=port,
        upstream=upstream if deployment is None else None,
        traces=None if traces is None else str(traces),
        workflow=workflow,
        grace=grace,
        record_content=record_content,
        admin=admin_config(admin_host, admin_port, admin_names),
        key_variables=key_variables,
        processes=processes,
        keys=KeysConfig(mode=keys_mode, store=store_url(store)),
        upstream_key_env=upstream_key_env,
        recording=RecordingOptions(
            redact=redact,
            file_bytes=max(1, round(trace_file_mb * 1e6)),
            file_age=trace_file_hours * 3600,
            keep_age=None if trace_keep_days is None else trace_keep_days * 86_400,
            keep_bytes=None if trace_keep_gb is None else max(1, round(trace_keep_gb * 1e9)),
            sample=trace_sample,
        ),
    )

    def ready(gateway: GovernedGateway) -> None:
        if as_json:
            admin = {"admin_url": gateway.admin.url, "admin_file": config.admin.file}
            click.echo(msgspec.json.encode({"url": gateway.url, **admin}).decode())
            return
        click.echo(f"listening on {gateway.url}")
        click.echo(_keys_sentence(keys_are_asked_for(keys_mode, host), host))
        click.echo(announced(config.admin, gateway.admin))

    serving = serve if processes == 1 else serve_processes
    if processes > 1 or deployment is not None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if deployment is None:
        run(serving(config, on_ready=ready))
        return

    def beside(gateway: GovernedGateway) -> Coroutine[None, None, None]:
        routes = table or f"{deployment}-routes"
        return follow(gateway, namespace=namespace, deployment=deployment, table=routes)

    run(serving(config, on_ready=ready, beside=beside))


def _keys_sentence(asks_keys: bool, host: str) -> str:
    if asks_keys:
        return "callers need an API key; `scepsy keys create NAME` makes one"
    if is_loopback(host):
        return "programs of this machine need no API key"
    return "WARNING: whoever reaches this address may call, because --keys is off"
