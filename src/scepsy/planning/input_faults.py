"""What can be wrong with a cluster, LLMs, targets or curves on their own (pure).

One place for it: files and library calls are checked by the same functions. A fault is the field,
as in "nodes[1].gpus", and what is wrong with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Target
from scepsy.core.profile import Curve
from scepsy.core.secrets import public_url
from scepsy.errors import BadInput
from scepsy.hardware.memory import check_gpu_memory, unknown_size

Fault = tuple[str, str]

RATE_MIN = 1e-9
"""The lowest target in runs per second. Simulated times overflow at far lower ones."""
RATE_MAX = 1e9
"""The highest target in runs per second. Far higher ones overflow when they are added."""
GPUS_MAX = 16_384
"""The most GPUs of a cluster. `scepsy plan` takes half a minute for this number of them."""

SHARES_MAX = 48
"""The most shares of a GPU: MPS serves at most 48 clients on one."""
GRAIN_MAX = 1_000
"""The largest common multiple of the numbers of shares in a cluster: the search counts in parts of
a GPU that divide all of them.
"""


def cluster_faults(cluster: Cluster) -> Iterator[Fault]:
    """No node, no free GPU, too many GPUs, no memory, equal names, several GPU types, numbers of
    GPUs that there are not, shares of GPUs that there cannot be.
    """
    if not cluster.nodes:
        yield "nodes", "at least one [[nodes]] is needed"
    yield from not_positive("gpu_memory", cluster.gpu_memory)
    yield from _refused("gpu_memory", lambda: check_gpu_memory(cluster.gpu_memory))
    yield from repeated("nodes.name", (node.name for node in cluster.nodes))
    for index, node in enumerate(cluster.nodes):
        yield from not_positive(f"nodes[{index}].gpus", node.gpus)
        yield from not_positive(f"nodes[{index}].nvlink_domain", node.domain_size)
        yield from _numbering_faults(f"nodes[{index}]", node)
    yield from _division_faults(cluster)
    if cluster.nodes and cluster.gpus <= 0:
        yield "nodes", "every GPU is taken by others; there is none left to plan on"
    if cluster.gpus > GPUS_MAX:
        yield "nodes", too_many_gpus(cluster.gpus)
    types = sorted({node.gpu_type for node in cluster.nodes})
    if len(types) > 1:
        one = "one GPU type per cluster is supported; describe each alone"
        yield "nodes.gpu_type", f"{', '.join(types)}: {one}"


def _division_faults(cluster: Cluster) -> Iterator[Fault]:
    """Numbers of shares that no GPU can be divided into, and nodes that say none beside others."""
    for index, node in enumerate(cluster.nodes):
        shares, where = node.shares_per_gpu, f"nodes[{index}].shares_per_gpu"
        if shares is None and cluster.divisions:
            yield where, "the other nodes have a number; give one for each node, or none"
        elif shares is not None and not 1 <= shares <= SHARES_MAX:
            yield where, f"{shares} must be from 1 to {SHARES_MAX}, the most clients of one GPU"
    if math.lcm(*(max(1, number) for number in cluster.divisions)) > GRAIN_MAX:
        numbers = ", ".join(map(str, cluster.divisions))
        yield "nodes.shares_per_gpu", f"{numbers}: these are too different to plan together"


def _numbering_faults(where: str, node: Node) -> Iterator[Fault]:
    """Taken GPUs that the node has not, and UUIDs that do not fit its number of GPUs."""
    for gpu in node.taken:
        if not 0 <= gpu < node.gpus:
            yield f"{where}.taken", f"there is no GPU {gpu}; the node has {node.gpus}"
    yield from repeated(f"{where}.taken", map(str, node.taken))
    if node.uuids and len(node.uuids) != node.gpus:
        each = f"{len(node.uuids)} for {node.gpus} GPUs; give one for each, or none"
        yield f"{where}.uuids", each
    yield from repeated(f"{where}.uuids", node.uuids)


def llm_faults(llms: Iterable[LlmSpec]) -> Iterator[Fault]:
    """Equal names, sizes that are no sizes, endpoints without an address."""
    llms = tuple(llms)
    yield from repeated("llms.name", (llm.name for llm in llms))
    for index, llm in enumerate(llms):
        where = f"llms[{index}]"
        for field in ("layers", "hidden", "kv_heads", "head_dim", "bytes_per_parameter"):
            yield from not_positive(f"{where}.{field}", getattr(llm, field))
        for field in ("max_context", "max_sequences", "max_tp", "min_kv_tokens"):
            yield from not_positive(f"{where}.{field}", getattr(llm, field))
        if not (math.isfinite(llm.parameters) and llm.parameters >= 0):
            yield f"{where}.parameters", f"{llm.parameters:g} is not a count"
        yield from _endpoint_faults(where, llm)
        if (problem := unknown_size(llm)) is not None:
            yield where, problem


def curve_faults(curves: Iterable[Curve]) -> Iterator[Fault]:
    """No curve, no point, sizes or latencies that are none, rates that do not rise."""
    curves = tuple(curves)
    if not curves:
        yield "curves", "there is none; run `scepsy profile`"
    for index, curve in enumerate(curves):
        where = f"curves[{index}]"
        yield from not_positive(f"{where}.tp", curve.tp)
        yield from not_share(f"{where}.gpu_share", curve.gpu_share)
        yield from not_positive(f"{where}.max_throughput", curve.max_throughput)
        if not curve.points:
            yield f"{where}.points", "there is none"
        for place, point in enumerate(curve.points):
            if not (math.isfinite(point.rate) and point.rate >= 0):
                yield f"{where}.points[{place}].rate", f"{point.rate:g} is no rate"
            for field in ("latency", "p50", "p90", "p99"):
                yield from not_positive(f"{where}.points[{place}].{field}", getattr(point, field))
        if not all(low.rate < high.rate for low, high in pairwise(curve.points)):
            yield f"{where}.points", "rates must rise from point to point"


def target_faults(targets: Iterable[Target]) -> Iterator[Fault]:
    """Two targets of one workflow, rates and weights that are none."""
    targets = tuple(targets)
    yield from repeated("targets.workflow", (target.workflow for target in targets))
    for index, target in enumerate(targets):
        yield from not_positive(f"targets[{index}].rate", target.rate)
        if 0 < target.rate < RATE_MIN:
            rare = f"{target.rate:g} runs per second are fewer than one in thirty years"
            yield f"targets[{index}].rate", rare
        if RATE_MAX < target.rate < math.inf:
            often = f"{target.rate:g} runs per second are more than a billion; no cluster serves it"
            yield f"targets[{index}].rate", often
        yield from not_positive(f"targets[{index}].weight", target.weight)


def too_many_gpus(gpus: int) -> str:
    """What is wrong with more GPUs than can be planned for."""
    return f"{gpus} GPUs are more than the {GPUS_MAX} that can be planned; describe a part of them"


def not_share(field: str, value: float) -> Iterator[Fault]:
    """Where it is no part of a GPU."""
    if not 0 < value <= 1:
        yield field, f"{value:g} must be above 0 and at most 1"


def repeated(field: str, names: Iterable[str]) -> Iterator[Fault]:
    """Where a name is there more than once."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        yield field, f"{', '.join(twice)} is there more than once"


def _endpoint_faults(where: str, llm: LlmSpec) -> Iterator[Fault]:
    if not llm.hosted:
        for field in ("url", "api_key_env", "rate_limit"):
            if getattr(llm, field) is not None:
                only = 'only an LLM with engine = "endpoint" has one'
                yield f"{where}.{field}", f"{only}; this one has {llm.engine!r}"
        return
    address = urlsplit(llm.url or "")
    if address.scheme not in ("http", "https") or not address.hostname:
        given = "nothing" if llm.url is None else repr(public_url(llm.url))
        yield f"{where}.url", f"{given} is not an http:// or https:// URL"
    if llm.rate_limit is not None:
        yield from not_positive(f"{where}.rate_limit", llm.rate_limit)


def not_positive(field: str, value: float) -> Iterator[Fault]:
    """Where it is no finite number above zero."""
    if not (math.isfinite(value) and value > 0):
        yield field, f"{value:g} must be positive"


def _refused(field: str, check: Callable[[], None]) -> Iterator[Fault]:
    try:
        check()
    except BadInput as error:
        yield field, str(error)
