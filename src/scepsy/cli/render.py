"""`scepsy render`: a plan as the objects of another system, written and not applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from scepsy.cli.inputs import name_option
from scepsy.cli.output import emit_json, json_option
from scepsy.cli.places import engine_images
from scepsy.cli.rendered_files import write_files
from scepsy.cli.target_options import refuse_unused
from scepsy.cli.terminal import echo
from scepsy.cli.waves import wrapped
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import NotCarried, RenderOptions, check, render
from scepsy.deploy.kubernetes.objects.gpus import GPU_PROFILES
from scepsy.deploy.kubernetes.objects.options import Gang, GpuProfileName, InferenceGateway
from scepsy.deploy.render import (
    NotTranslated,
    Translation,
    dynamo,
    keda_kueue,
    kserve,
    ray_serve,
)
from scepsy.deploy.render.documents import yaml_stream
from scepsy.deploy.render.keda_kueue import PROMETHEUS
from scepsy.errors import BadInput
from scepsy.report.wording import count
from scepsy.store import read_plan

TRANSLATIONS = ("ray-serve", "kserve", "dynamo", "keda-kueue")


@click.command("render")
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["kubernetes", *TRANSLATIONS]),
    required=True,
    help="The system that reads the objects.",
)
@click.option(
    "--gpu",
    type=click.Choice(list(GPU_PROFILES)),
    default="device-plugin",
    show_default=True,
    help="With --to kubernetes: how pods get GPUs and parts of them.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write YAML files into.  [default: one stream to standard output]",
)
@name_option
@click.option("--namespace", default="default", show_default=True, help="Namespace of all objects.")
@click.option(
    "--epoch",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of the plan within the deployment.",
)
@click.option(
    "--image",
    "image_texts",
    multiple=True,
    metavar="ENGINE=IMAGE",
    help="Image of the engines of one kind, such as vllm=registry.example/vllm:1. May be repeated.",
)
@click.option(
    "--python",
    default="python3",
    show_default=True,
    help="Command that runs Python in the engines' images.",
)
@click.option(
    "--mps-pipe",
    metavar="FOLDER",
    help="Pipe directory of the nodes' MPS daemons, with {gpu} where each GPU has its own.  "
    "[default: that of --gpu]",
)
@click.option(
    "--gang",
    type=click.Choice(get_args(Gang)),
    default="none",
    show_default=True,
    help="Schedule the engines of an LLM together: by a PodGroup, or by Kueue.",
)
@click.option(
    "--queue", default="default", show_default=True, help="Name of the queue of Kueue or of KAI."
)
@click.option(
    "--gateway",
    type=click.Choice(get_args(InferenceGateway)),
    default="none",
    show_default=True,
    help="Also write an InferencePool and an HTTPRoute for each LLM.",
)
@click.option(
    "--gateway-name",
    default="inference-gateway",
    show_default=True,
    help="Name of the Gateway that the HTTPRoutes belong to.",
)
@click.option(
    "--prometheus",
    default=PROMETHEUS,
    show_default=True,
    help="Address of the Prometheus in which KEDA reads the engines' metrics.",
)
@click.option(
    "--pull-secret", help="Name of the Secret with the credentials of the images' registry."
)
@click.option(
    "--cpu", help="Number of CPUs that each engine requests, such as 4.  [default: 1 + TP]"
)
@click.option("--memory", help="Memory of each engine, such as 64Gi.  [default: 8Gi x (1 + TP)]")
@click.option(
    "--grace",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Seconds that a pod has to finish its calls before it is killed.",
)
@click.option(
    "--model-cache",
    metavar="CLAIM",
    help="PersistentVolumeClaim that keeps downloaded weights.  [default: none is kept]",
)
@click.option("--secret", help="Secret whose keys are variables of the engines, such as HF_TOKEN.")
@click.option(
    "--priority-class",
    "priority_text",
    metavar="NAME[=VALUE]",
    help="PriorityClass of the engines; with a value, it is rendered, too.",
)
@click.option(
    "--allow-from",
    "from_namespaces",
    multiple=True,
    metavar="NAMESPACE",
    help="A namespace that may reach the engines, beside Scepsy's gateways. May be repeated.",
)
@json_option
def command(
    plan_path: Path,
    target: str,
    gpu: GpuProfileName,
    out: Path | None,
    name: str,
    namespace: str,
    epoch: int,
    image_texts: tuple[str, ...],
    python: str,
    mps_pipe: str | None,
    gang: Gang,
    queue: str,
    gateway: InferenceGateway,
    gateway_name: str,
    prometheus: str,
    pull_secret: str | None,
    cpu: str | None,
    memory: str | None,
    grace: int,
    model_cache: str | None,
    secret: str | None,
    priority_text: str | None,
    from_namespaces: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write PLAN as the objects of another system, which may be kept in a repository and applied by
    its own tools.

    The parts of the plan that the objects do not express are printed. A plan that they cannot carry
    is refused, with the reason. The same plan always gives the same bytes.
    """
    refuse_unused(click.get_current_context(), target)
    priority_class, priority = _priority(priority_text)
    options = RenderOptions(
        name=name,
        namespace=namespace,
        epoch=epoch,
        gpu=gpu,
        images=engine_images(image_texts),
        mps_pipe=mps_pipe,
        gang=gang,
        queue=queue,
        gateway=gateway,
        gateway_name=gateway_name,
        pull_secret=pull_secret,
        cpu=cpu,
        memory=memory,
        grace=grace,
        cache_claim=model_cache,
        secret=secret,
        priority_class=priority_class,
        priority=priority,
        from_namespaces=from_namespaces,
    )
    plan = read_plan(plan_path)
    translated = (
        _kubernetes(plan, options, python)
        if target == "kubernetes"
        else _other(plan, target, options, prometheus)
    )
    files: Sequence[Path] = ()
    if out is not None:
        files = write_files(out, name, translated)
    if as_json:
        emit_json({"plan": translated.plan, "files": files, **translated.as_json()})
        return
    for sentence in translated.comment:
        echo(wrapped(sentence), err=True)
    if out is None:
        click.echo(yaml_stream(translated.objects, translated.comment), nl=False)
    else:
        click.echo(
            f"{count(len(translated.objects), 'object')} written to "
            f"{count(len(files), 'file')} in the folder {out}"
        )


def _kubernetes(plan: Plan, options: RenderOptions, python: str) -> Translation:
    """Raises BadInput where the objects cannot carry the plan, or the options do not make objects
    that an API server accepts.
    """
    rendered = render(plan, container_launches(plan, python=python), options)
    if isinstance(rendered, NotCarried):
        raise BadInput(f"--gpu {options.gpu} cannot carry this plan. {' '.join(rendered.reasons)}")
    _refuse(check(rendered.objects))
    return Translation(
        target=f"Kubernetes, --gpu {options.gpu}",
        plan=rendered.plan,
        objects=rendered.objects,
        lost=rendered.lost,
        needs=rendered.needs,
        files=rendered.files,
    )


def _other(plan: Plan, target: str, options: RenderOptions, prometheus: str) -> Translation:
    """Raises BadInput where the system cannot carry the plan at all."""
    launches = container_launches(plan)
    match target:
        case "ray-serve":
            found = ray_serve(plan, launches, options.name)
        case "kserve":
            found = kserve(plan, launches, options)
        case "dynamo":
            found = dynamo(plan, launches, options)
        case _:
            found = keda_kueue(plan, options, prometheus)
    if isinstance(found, NotTranslated):
        raise BadInput(f"--to {target} cannot carry this plan. {' '.join(found.reasons)}")
    if target != "ray-serve":
        _refuse(check(found.objects))
    return found


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise BadInput(f"the objects would be refused: {problems[0]}")


def _priority(text: str | None) -> tuple[str | None, int | None]:
    if text is None:
        return None, None
    name, equals, value = text.partition("=")
    try:
        return name, int(value) if equals else None
    except ValueError:
        raise BadInput(f"--priority-class {text}: write NAME or NAME=WHOLE NUMBER") from None
