"""`scepsy gateway`: the gateway alone, in front of any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from scepsy.cli.output import json_option
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import serve


@click.command("gateway")
@click.option(
    "--upstream",
    envvar="OPENAI_BASE_URL",
    required=True,
    metavar="URL",
    help="Server that answers the calls  [default: $OPENAI_BASE_URL]",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--traces", type=click.Path(path_type=Path), help="Record calls into this directory.")
@click.option(
    "--workflow", default="default", show_default=True, help="Workflow of calls that name none."
)
@click.option(
    "--record-content", is_flag=True, help="Record prompts and answers, not only digests of them."
)
@json_option
def command(
    upstream: str,
    host: str,
    port: int,
    traces: Path | None,
    workflow: str,
    record_content: bool,
    as_json: bool,
) -> None:
    """Pass LLM calls on to URL, and record each call. The command runs until it is stopped."""
    config = GatewayConfig(
        host=host,
        port=port,
        upstream=upstream,
        traces=None if traces is None else str(traces),
        workflow=workflow,
        record_content=record_content,
    )

    def ready(url: str) -> None:
        message = msgspec.json.encode({"url": url}).decode() if as_json else f"listening on {url}"
        click.echo(message)

    asyncio.run(serve(config, on_ready=ready))
