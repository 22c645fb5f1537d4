"""A plan as Kubernetes objects, or why they cannot carry it (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects import gangs, inference, labels, services, start_order
from scepsy.deploy.kubernetes.objects.gpus import gpu_profile
from scepsy.deploy.kubernetes.objects.names import label_value, plan_id
from scepsy.deploy.kubernetes.objects.options import LaunchIn, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.workload import workload
from scepsy.engines.protocol import EngineResources
from scepsy.hardware.startable import unstartable

CPU = "cpu"
"""The GPU type that stands for the cores of one machine."""


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Why the objects that were asked for cannot carry a plan: sentences with names."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The objects of a plan.

    Attributes:
        plan: the plan's id, as in the objects' labels.
        shared: the objects that belong to no single replica, in the order in which to apply them.
        replicas: by name of the replica, its workload.
        lost: what of the plan the objects do not express, in sentences.
        needs: what the cluster must have or be set to, in sentences.
    """

    plan: str
    shared: tuple[Object, ...]
    replicas: dict[str, Object]
    lost: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def objects(self) -> tuple[Object, ...]:
        """All objects, in the order in which to apply them."""
        return (*self.shared, *self.replicas.values())

    @property
    def files(self) -> dict[str, tuple[Object, ...]]:
        """By the name of a file, the objects in it: what is shared, and the engines of each LLM."""
        found: dict[str, tuple[Object, ...]] = {"shared": self.shared}
        for one in self.replicas.values():
            name = f"engines-{one['metadata']['labels'][labels.LLM]}"
            found[name] = (*found.get(name, ()), one)
        return found


def render(plan: Plan, launch_in: LaunchIn, options: RenderOptions) -> Rendered | NotCarried:
    """The objects of `plan`: one workload for each replica, and what they share. The same plan and
    options give equal objects with their fields in the same order.

    Raises BadInput for an LLM that its engine cannot serve.
    """
    profile = gpu_profile(options.gpu)
    reasons = (*_refusals(plan), *profile.refusals(plan, options))
    if reasons:
        return NotCarried(reasons)
    name = plan_id(plan)
    shared = (
        *services.priority_class(options),
        services.network_policy(options, name),
        *services.services(plan, options, name),
        *services.disruption_budgets(plan, options, name),
        *(start_order.config_maps(plan, options, name) if options.ordered else ()),
        *profile.objects(plan, options, name),
        *gangs.pod_groups(plan, options, name),
        *inference.routes(plan, options, name),
    )
    llms = {llm.name: llm for llm in plan.llms}
    replicas = {
        replica.replica: workload(
            replica,
            llms[replica.llm],
            launch_in(llms[replica.llm], _resources(plan, replica)),
            profile.pod(plan, replica, options),
            options,
            name,
        )
        for replica in sorted(plan.placement.replicas, key=lambda one: one.replica)
    }
    return Rendered(
        plan=name,
        shared=shared,
        replicas=replicas,
        lost=(*profile.lost(plan, options), *inference.lost(plan, options)),
        needs=(
            *hosted_elsewhere(plan),
            *_there_already(options),
            *profile.needs(plan, options),
            *gangs.needs(options),
            *inference.needs(plan, options),
        ),
    )


def _there_already(options: RenderOptions) -> Iterator[str]:
    """Objects that the rendered ones name and that somebody else makes."""
    named = {
        "Secret": (options.secret, options.pull_secret),
        "PersistentVolumeClaim": (options.cache_claim,),
        "PriorityClass": (options.priority_class if options.priority is None else None,),
    }
    for kind, names in named.items():
        for name in names:
            if name is not None:
                yield f"The {kind} {name!r}."


def hosted_elsewhere(plan: Plan) -> Iterator[str]:
    """What is to be known of LLMs that endpoints serve."""
    hosted = [llm.name for llm in plan.llms if llm.hosted]
    if hosted:
        yield (
            f"For {', '.join(hosted)}: a gateway that routes to the endpoint in the plan. Nothing "
            "is rendered for LLMs that endpoints serve."
        )


def _refusals(plan: Plan) -> Iterator[str]:
    """Why no profile could carry the plan."""
    if (wrong := unstartable(plan)) is not None:
        yield f"The plan cannot be started: {wrong.reason}."
        return
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    for replica in plan.placement.replicas:
        nodes = sorted({part.node for part in replica.slices})
        if len(nodes) > 1:
            yield (
                f"{replica.replica} is a TP group over the nodes {', '.join(nodes)}; a pod is on "
                "one node. Make the plan with a max_tp that fits into one node."
            )
        if label_value(nodes[0]) != nodes[0]:
            yield (
                f"Node {nodes[0]!r} cannot be the value of a node label, by which pods are bound "
                "to nodes. Name nodes in the cluster file as Kubernetes names them."
            )
        if types[nodes[0]] == CPU:
            yield (
                f'{replica.replica} is on node {nodes[0]}, whose GPU type is "cpu": such a plan is '
                "for the cores of one machine. Deploy it with `scepsy deploy --on local`."
            )


def _resources(plan: Plan, replica: Replica) -> EngineResources:
    """What the engine gets. It sees its own GPUs only, numbered from 0, so none are named."""
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    return EngineResources(
        tp=replica.tp,
        gpu_share=replica.gpu_share,
        memory_share=replica.memory_share,
        gpu_type=types[replica.slices[0].node],
        gpu_memory=plan.cluster.gpu_memory,
    )
