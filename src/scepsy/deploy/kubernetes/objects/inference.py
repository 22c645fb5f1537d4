"""Routes of the Gateway API's inference extension, an InferencePool for each LLM (pure).

They are for teams that route with such a gateway instead of Scepsy's.
"""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.objects.options import PORT, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.services import llms_served

MODEL_HEADER = "X-Gateway-Model-Name"
"""Into which the extension's body-based router copies a request's `model`."""

PICKER_PORT = 9002


def routes(plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
    """An InferencePool and an HTTPRoute for each LLM."""
    if options.gateway != "inferencepool":
        return
    for llm in llms_served(plan):
        name = labels.service_name(options, llm)
        meta = labels.metadata(options, plan_id, name)
        yield {
            "apiVersion": "inference.networking.k8s.io/v1",
            "kind": "InferencePool",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels.engines(options, llm)},
                "targetPorts": [{"number": PORT}],
                "endpointPickerRef": {
                    "name": picker_name(options, llm),
                    "port": {"number": PICKER_PORT},
                    "failureMode": "FailOpen",
                },
            },
        }
        header = {"type": "Exact", "name": MODEL_HEADER, "value": llm}
        pool = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": name}
        yield {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": meta,
            "spec": {
                "parentRefs": [{"name": options.gateway_name}],
                "rules": [
                    {
                        "matches": [
                            {"path": {"type": "PathPrefix", "value": "/"}, "headers": [header]}
                        ],
                        "backendRefs": [pool],
                    }
                ],
            },
        }


def picker_name(options: RenderOptions, llm: str) -> str:
    return dns_label(f"{labels.service_name(options, llm)}-epp")


def needs(plan: Plan, options: RenderOptions) -> Iterator[str]:
    if options.gateway != "inferencepool":
        return
    pickers = ", ".join(picker_name(options, llm) for llm in llms_served(plan))
    yield (
        "The Gateway API with its inference extension v1, a Gateway "
        f"{options.gateway_name!r} with the body-based router, and the endpoint pickers {pickers}. "
        "Their pods must be let in by --allow-from."
    )


def lost(plan: Plan, options: RenderOptions) -> Iterator[str]:
    if options.gateway == "inferencepool":
        yield (
            "Routing by runs: the endpoint picker sees single calls, and does not know which call "
            "of a workflow it sends where."
        )
