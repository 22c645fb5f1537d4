"""The options of `scepsy deploy`, `status` and `down` that say where a deployment runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, get_args

import click

from scepsy.cli.inputs import state_directory, state_option
from scepsy.core.llm import EngineKind
from scepsy.deploy import LocalBackend
from scepsy.deploy.backend import Backend
from scepsy.deploy.kubernetes.backend import PATIENCE, KubernetesBackend
from scepsy.deploy.kubernetes.objects import RenderOptions
from scepsy.deploy.kubernetes.objects.gpus import GPU_PROFILES
from scepsy.deploy.ray.backend import RayBackend
from scepsy.engines import EngineOptions
from scepsy.errors import BadInput

BACKENDS = ("local", "ray", "kubernetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a deployment runs.

    Attributes:
        backend_name: one of `BACKENDS`.
        state: the local backend's folder; None for the usual one.
        address: of Ray's head.
        gateway_node: node of Ray on which the gateway of a new deployment runs.
        kubeconfig, context, namespace: of Kubernetes; None for the usual ones.
        objects: how Kubernetes objects are made.
        python: the Python of the engines' images.
        patience: seconds that an engine on Kubernetes may lack a node, an image or a quota.
    """

    backend_name: str
    state: Path | None = None
    address: str | None = None
    gateway_node: str = ""
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    objects: RenderOptions = field(default_factory=RenderOptions)
    python: str = "python3"
    patience: float = PATIENCE

    def backend(self, options: EngineOptions | None = None) -> Backend:
        """The backend; `options` are those of engines that are started from now on. Raises BadInput
        where an option is missing.
        """
        engines = options or EngineOptions()
        if self.backend_name == "local":
            return LocalBackend(state_directory(self.state), engines)
        if self.backend_name == "kubernetes":
            return KubernetesBackend(
                kubeconfig=self.kubeconfig,
                context=self.context,
                namespace=self.namespace,
                options=self.objects,
                seed=engines.seed,
                python=self.python,
                patience=self.patience,
            )
        if not self.address:
            raise BadInput(
                "--on ray needs --address, the address of Ray's head that `scepsy ray up` printed"
            )
        return RayBackend(self.address, engines, gateway_node=self.gateway_node)


_RAY = (
    click.option(
        "--address",
        envvar="RAY_ADDRESS",
        metavar="HOST[:PORT]",
        help="Ray: address of the head, on a machine of the cluster; ray://HOST[:PORT] from "
        "elsewhere.  [default: $RAY_ADDRESS]",
    ),
)

_RAY_OBJECTS = (
    click.option(
        "--gateway-node",
        default="",
        metavar="NODE",
        help="Ray: node on which a new deployment's gateway runs.  [default: that of the head]",
    ),
)

_CONNECTION = (
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        help="Kubernetes: the file with clusters and users.  [default: $KUBECONFIG or "
        "~/.kube/config; in a pod its service account]",
    ),
    click.option(
        "--context", help="Kubernetes: the context of that file.  [default: its current one]"
    ),
    click.option(
        "--namespace", help="Kubernetes: namespace of the deployment.  [default: the context's]"
    ),
)

_OBJECTS = (
    click.option(
        "--gpu",
        type=click.Choice(list(GPU_PROFILES)),
        default="device-plugin",
        show_default=True,
        help="Kubernetes: how pods get GPUs and parts of them.",
    ),
    click.option(
        "--image",
        "image_texts",
        multiple=True,
        metavar="ENGINE=IMAGE",
        help="Kubernetes: image of the engines of one kind, such as vllm=registry.example/vllm:1. "
        "The image of `emulated` is the gateway's, too. May be repeated.",
    ),
    click.option(
        "--python",
        default="python3",
        show_default=True,
        help="Kubernetes: command that runs Python in the engines' images.",
    ),
    click.option(
        "--pull-secret", help="Kubernetes: name of the Secret with the registry's credentials."
    ),
    click.option(
        "--model-cache",
        metavar="CLAIM",
        help="Kubernetes: PersistentVolumeClaim that keeps downloaded weights.",
    ),
    click.option(
        "--secret",
        help="Kubernetes: name of the Secret whose keys are environment variables of the engines, "
        "such as HF_TOKEN.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(1),
        default=PATIENCE,
        show_default=True,
        help="Kubernetes: seconds for which an engine may lack a node, an image or a quota, and a "
        "deleted one may take to go, before the command gives up.",
    ),
)

Command = Callable[..., None]


def place_options(command: Command) -> Command:
    """Adds --on and what belongs to it; the command gets a `place`."""

    @wraps(command)
    def with_place(**given: Any) -> None:
        names = ("backend_name", "state", "address", "kubeconfig", "context", "namespace")
        place = Place(**{name: given.pop(name) for name in names})
        command(place=place, **given)

    on = _on("local", help="Where the deployment runs.")
    return _added(with_place, (on, state_option, *_RAY, *_CONNECTION))


def deploy_place_options(command: Command) -> Command:
    """As `place_options`, with what is asked for when a deployment is made."""

    @wraps(command)
    def with_place(**given: Any) -> None:
        names = ("backend_name", "state", "address", "gateway_node", "kubeconfig", "context")
        place = Place(
            **{name: given.pop(name) for name in (*names, "namespace", "python", "patience")},
            objects=RenderOptions(
                gpu=given.pop("gpu"),
                images=engine_images(given.pop("image_texts")),
                pull_secret=given.pop("pull_secret"),
                cache_claim=given.pop("model_cache"),
                secret=given.pop("secret"),
            ),
        )
        command(place=place, **given)

    words = (
        "Where to run the plan: `local` is this machine, `ray` a Ray cluster, `kubernetes` the "
        "cluster of a kubeconfig."
    )
    on = _on(None, help=words)
    return _added(with_place, (on, state_option, *_RAY, *_RAY_OBJECTS, *_CONNECTION, *_OBJECTS))


def engine_images(texts: tuple[str, ...]) -> dict[EngineKind, str]:
    """The values of --image. Raises BadInput."""
    found: dict[EngineKind, str] = {}
    for text in texts:
        kind, equals, image = text.partition("=")
        known = next((one for one in get_args(EngineKind) if one == kind), None)
        if not equals or not image or known is None:
            raise BadInput(f"--image {text}: write ENGINE=IMAGE, such as vllm=vllm/vllm-openai:v1")
        found[known] = image
    return found


def _on(default: str | None, *, help: str) -> Callable[[Command], Command]:
    """The option --on. It must be given where there is no default."""
    # Click takes a default of None for a value that was given.
    known: dict[str, Any] = {} if default is None else {"default": default, "show_default": True}
    return click.option(
        "--on",
        "backend_name",
        type=click.Choice(list(BACKENDS)),
        required=default is None,
        help=help,
        **known,
    )


def _added(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
