"""The commands of engines in containers, from their adapters."""

from __future__ import annotations

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects.options import PORT, LaunchIn
from scepsy.engines import EngineOptions, EngineResources, Launch, engine_for

PYTHON = "python3"
"""The Python that has the engine, in the images of `options.IMAGES`."""


def container_launches(
    plan: Plan,
    *,
    python: str = PYTHON,
    host: str = "0.0.0.0",
    port: int = PORT,
    seed: int = 0,
) -> LaunchIn:
    """What makes the commands for the engines of `plan` in images whose Python is `python`.

    The engines listen on `host`, which may be "$(NAME)" for an environment variable of the pod.
    """
    options = EngineOptions(seed=seed, time_scale=plan.time_scale, host=host, image_python=python)

    def launch_in(llm: LlmSpec, resources: EngineResources) -> Launch:
        return engine_for(llm.engine).launch(llm, resources, port=port, options=options)

    return launch_in
