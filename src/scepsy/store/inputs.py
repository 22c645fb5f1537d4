"""Reads what people and earlier steps hand to the planner, and checks that it makes sense."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan
from scepsy.core.profile import Profile
from scepsy.core.record import Record
from scepsy.errors import BadInput
from scepsy.hardware.architectures import shape_called, shape_of
from scepsy.hardware.quantization import precision_of
from scepsy.planning.input_faults import (
    Fault,
    cluster_faults,
    curve_faults,
    llm_faults,
    not_positive,
    not_share,
    repeated,
    target_faults,
)
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
    _refuse(source, cluster_faults(cluster))
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
    _refuse(source, llm_faults(llms))
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
    _refuse(Source(path), curve_faults(profile.curves))
    return profile


def read_plan(path: Path) -> Plan:
    """Reads a plan. Raises NotFound, or BadInput also where its parts do not fit together."""
    plan = read_record(path, Plan, "a plan")
    source = Source(path)
    written = f"{plan.format}: this version reads format {PLAN_FORMAT}; make the plan anew"
    _require(plan.format == PLAN_FORMAT, source, "format", written)
    cluster = ((f"cluster.{field}", wrong) for field, wrong in cluster_faults(plan.cluster))
    time_scale = not_positive("time_scale", plan.time_scale)
    _refuse(source, chain(cluster, target_faults(plan.targets), time_scale))
    replicas = plan.placement.replicas
    _refuse(source, repeated("placement.replicas.replica", (one.replica for one in replicas)))
    _refuse(source, _name_faults(plan))
    llms = {llm.name for llm in plan.llms}
    nodes = {node.name: node for node in plan.cluster.nodes}
    for index, replica in enumerate(replicas):
        where = f"placement.replicas[{index}]"
        _require(replica.llm in llms, source, f"{where}.llm", f"{replica.llm!r} is not in llms")
        whole = f"{len(replica.slices)} for tp {replica.tp}; there must be one per GPU"
        _require(len(replica.slices) == replica.tp > 0, source, f"{where}.slices", whole)
        for part in replica.slices:
            node = nodes.get(part.node)
            place = f"the cluster has no GPU {part.gpu} on node {part.node!r}"
            exists = node is not None and 0 <= part.gpu < node.gpus
            _require(exists, source, f"{where}.slices", place)
            others = f"GPU {part.gpu} of node {part.node!r} is taken by others"
            taken = node is not None and part.gpu in node.taken
            _require(not taken, source, f"{where}.slices", others)
            _refuse(source, not_share(f"{where}.slices.gpu_share", part.gpu_share))
            _refuse(source, not_share(f"{where}.slices.memory_share", part.memory_share))
    return plan


def _name_faults(plan: Plan) -> Iterator[Fault]:
    """Names that backends turn into names of files and objects, and that lead elsewhere."""
    named = [
        *(("cluster.nodes.name", node.name) for node in plan.cluster.nodes),
        *(("llms.name", llm.name) for llm in plan.llms),
        *(("placement.replicas.replica", one.replica) for one in plan.placement.replicas),
    ]
    for field, name in named:
        leads_away = any(part in (".", "..") for part in name.split("/"))
        if not name or leads_away or not name.isprintable():
            yield field, f"{name!r} is no name; use letters, digits and dashes"


def _refuse(source: Source, faults: Iterable[Fault]) -> None:
    for field, wrong in faults:
        raise BadInput(source.problem(field, wrong))


def _require(holds: bool, source: Source, field: str, message: str) -> None:
    if not holds:
        raise BadInput(source.problem(field, message))
