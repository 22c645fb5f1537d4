"""Reads what people and earlier steps hand to the planner, and checks that it makes sense."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan
from scepsy.core.profile import Curve, Profile
from scepsy.core.record import Record
from scepsy.errors import BadInput
from scepsy.hardware.architectures import shape_called, shape_of
from scepsy.hardware.memory import check_gpu_memory, check_size
from scepsy.hardware.quantization import precision_of
from scepsy.store.checkpoint import read_checkpoint
from scepsy.store.files import read_record, read_toml
from scepsy.store.located import Source

PLAN_FORMAT = 1


class _LlmTables(Record, frozen=True, kw_only=True):
    llms: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1)]


class _LlmFile(Record, frozen=True, kw_only=True):
    llms: Annotated[tuple[LlmSpec, ...], Meta(min_length=1)]


def read_cluster(path: Path) -> Cluster:
    """Reads a cluster from TOML: `gpu_memory` and a `[[nodes]]` table per machine.

    Raises:
        NotFound: there is no such file.
        BadInput: it is malformed, has no node, or mixes GPU types.
    """
    cluster, source = read_toml(path, Cluster, "a cluster")
    _require(bool(cluster.nodes), source, "nodes", "at least one [[nodes]] is needed")
    _positive(source, "gpu_memory", cluster.gpu_memory)
    with _located(source, "gpu_memory"):
        check_gpu_memory(cluster.gpu_memory)
    _unique(source, "nodes", "name", (node.name for node in cluster.nodes))
    for index, node in enumerate(cluster.nodes):
        _positive(source, f"nodes[{index}].gpus", node.gpus)
        _positive(source, f"nodes[{index}].nvlink_domain", node.domain_size)
    types = sorted({node.gpu_type for node in cluster.nodes})
    mixed = f"{', '.join(types)}: one GPU type per cluster is supported; describe each alone"
    _require(len(types) == 1, source, "nodes.gpu_type", mixed)
    return cluster


def read_llms(path: Path) -> tuple[LlmSpec, ...]:
    """Reads LLMs from TOML, an `[[llms]]` table each.

    An `architecture`, or else the `config.json` in the folder `model_path`, fills in the numbers
    that the table does not give. Raises NotFound, BadInput.
    """
    tables, source = read_toml(path, _LlmTables, "an LLM file")
    filled = {"llms": [_filled(source, index, one) for index, one in enumerate(tables.llms)]}
    try:
        llms = msgspec.convert(filled, _LlmFile).llms
    except msgspec.ValidationError as error:
        raise BadInput(source.validation(error, _LlmFile)) from None
    _unique(source, "llms", "name", (llm.name for llm in llms))
    for index, llm in enumerate(llms):
        for field in ("layers", "hidden", "kv_heads", "head_dim", "bytes_per_parameter"):
            _positive(source, f"llms[{index}].{field}", getattr(llm, field))
        for field in ("max_context", "max_sequences", "max_tp", "min_kv_tokens"):
            _positive(source, f"llms[{index}].{field}", getattr(llm, field))
        known = math.isfinite(llm.parameters) and llm.parameters >= 0
        _require(known, source, f"llms[{index}].parameters", f"{llm.parameters:g} is not a count")
        _check_endpoint(source, f"llms[{index}]", llm)
        with _located(source, f"llms[{index}]"):
            check_size(llm)
    return llms


def _filled(source: Source, index: int, table: dict[str, Any]) -> dict[str, Any]:
    """The table, with the numbers that its architecture or its folder knows.

    Where the table tells the parameters itself, the folder still tells their precision.
    """
    with _located(source, f"llms[{index}]"):
        if (name := table.get("architecture")) is not None:
            return {**shape_called(name), **table}
        path = table.get("model_path")
        config = None if path is None else read_checkpoint(source.path.parent / str(path))
        if config is None:
            return table
        if "parameters" not in table:
            return {**shape_of(config), **table}
        known = {} if "bytes_per_parameter" in table else precision_of(config).fields()
        return {**known, **table}


@contextmanager
def _located(source: Source, field: str) -> Generator[None]:
    """Says in a BadInput where in the file the field stands."""
    try:
        yield
    except BadInput as error:
        raise BadInput(source.problem(field, str(error))) from None


def read_profile(path: Path) -> Profile:
    """Reads a profile. Raises NotFound, or BadInput also where a curve's rates do not rise."""
    profile = read_record(path, Profile, "a profile")
    source = Source(path)
    _require(bool(profile.curves), source, "curves", "there is none; run `scepsy profile` again")
    for index, curve in enumerate(profile.curves):
        _check_curve(source, f"curves[{index}]", curve)
    return profile


def read_plan(path: Path) -> Plan:
    """Reads a plan. Raises NotFound, or BadInput also where its parts do not fit together."""
    plan = read_record(path, Plan, "a plan")
    source = Source(path)
    written = f"{plan.format}: this version reads format {PLAN_FORMAT}; make the plan anew"
    _require(plan.format == PLAN_FORMAT, source, "format", written)
    replicas = plan.placement.replicas
    _unique(source, "placement.replicas", "replica", (one.replica for one in replicas))
    llms = {llm.name for llm in plan.llms}
    nodes = {node.name: node.gpus for node in plan.cluster.nodes}
    for index, replica in enumerate(replicas):
        where = f"placement.replicas[{index}]"
        _require(replica.llm in llms, source, f"{where}.llm", f"{replica.llm!r} is not in llms")
        whole = f"{len(replica.slices)} for tp {replica.tp}; there must be one per GPU"
        _require(len(replica.slices) == replica.tp > 0, source, f"{where}.slices", whole)
        for part in replica.slices:
            exists = 0 <= part.gpu < nodes.get(part.node, 0)
            place = f"the cluster has no GPU {part.gpu} on node {part.node!r}"
            _require(exists, source, f"{where}.slices", place)
            _share(source, f"{where}.slices.gpu_share", part.gpu_share)
            _share(source, f"{where}.slices.memory_share", part.memory_share)
    return plan


def _check_endpoint(source: Source, where: str, llm: LlmSpec) -> None:
    if not llm.hosted:
        for field in ("url", "api_key_env", "rate_limit"):
            only = f'only an LLM with engine = "endpoint" has one; {llm.name!r} has {llm.engine!r}'
            _require(getattr(llm, field) is None, source, f"{where}.{field}", only)
        return
    address = urlsplit(llm.url or "")
    good = address.scheme in ("http", "https") and bool(address.hostname)
    _require(good, source, f"{where}.url", f"{llm.url!r} is not an http:// or https:// URL")
    if llm.rate_limit is not None:
        _positive(source, f"{where}.rate_limit", llm.rate_limit)


def _check_curve(source: Source, where: str, curve: Curve) -> None:
    _positive(source, f"{where}.tp", curve.tp)
    _share(source, f"{where}.gpu_share", curve.gpu_share)
    _positive(source, f"{where}.max_throughput", curve.max_throughput)
    _require(bool(curve.points), source, f"{where}.points", "there is none")
    for index, point in enumerate(curve.points):
        idle_or_more = math.isfinite(point.rate) and point.rate >= 0
        _require(
            idle_or_more, source, f"{where}.points[{index}].rate", f"{point.rate:g} is no rate"
        )
        for field in ("latency", "p50", "p90", "p99"):
            _positive(source, f"{where}.points[{index}].{field}", getattr(point, field))
    rising = all(low.rate < high.rate for low, high in pairwise(curve.points))
    _require(rising, source, f"{where}.points", "rates must rise from point to point")


def _positive(source: Source, field: str, value: float) -> None:
    _require(math.isfinite(value) and value > 0, source, field, f"{value:g} must be positive")


def _share(source: Source, field: str, value: float) -> None:
    _require(0 < value <= 1, source, field, f"{value:g} must be above 0 and at most 1")


def _unique(source: Source, field: str, key: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    _require(not twice, source, f"{field}.{key}", f"{', '.join(twice)} is there more than once")


def _require(holds: bool, source: Source, field: str, message: str) -> None:
    if not holds:
        raise BadInput(source.problem(field, message))
