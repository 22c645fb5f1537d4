"""Cluster and LLMs as commands are given them: in files, or in a word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Trace
from scepsy.errors import BadInput, did_you_mean
from scepsy.hardware.architectures import most_context, shape_called, shape_like, shipped
from scepsy.hardware.gpus import gpus, known_gpu
from scepsy.planning.input_faults import GPUS_MAX, too_many_gpus
from scepsy.store import read_cluster, read_llms
from scepsy.traces.context import call_tokens, refuse_long_calls

_IN_A_WORD = re.compile(r"(?:(\d+)x)?(\d+)x([a-z]\w*)")
_NEAR_A_WORD = re.compile(r"(?:(\d+)[\Wx]+)?(\d+)[\Wx]*([a-z]\w*)")
"""What a person may write instead: 8h100, 2*8xh100, 8 x h100."""


def cluster_of(given: Path) -> Cluster:
    """A cluster from a file, or from a word like `8xh100` or `2x8xh100` (nodes x GPUs x type) where
    there is no file of that name. Raises NotFound, BadInput.
    """
    word = _IN_A_WORD.fullmatch(str(given).lower())
    if given.exists() or (word is None and _names_a_file(given)):
        return read_cluster(given)
    if word is None:
        raise BadInput(
            f"--cluster {given}: there is no such file, and it is no cluster in a word: write "
            f"GPUSxTYPE or NODESxGPUSxTYPE, as in 8xh100 or 2x8xh100{_meant(str(given))}"
        )
    nodes, each, gpu_type = int(word[1] or 1), int(word[2]), word[3]
    constants = known_gpu(gpu_type)
    if constants is None:
        raise BadInput(
            f"--cluster {given}: the memory of {gpu_type!r} is not known"
            f"{did_you_mean(gpu_type, gpus())}; known GPUs are "
            f"{', '.join(sorted(gpus()))}; describe others in a TOML file"
        )
    if not nodes or not each:
        raise BadInput(f"--cluster {given}: there must be a node, and a GPU in it")
    if nodes * each > GPUS_MAX:
        raise BadInput(f"--cluster {given}: {too_many_gpus(nodes * each)}")
    described = (Node(name=f"node-{n}", gpus=each, gpu_type=gpu_type) for n in range(nodes))
    return Cluster(nodes=tuple(described), gpu_memory=constants.memory)


def _names_a_file(given: Path) -> bool:
    return given.suffix != "" or len(given.parts) > 1


def _meant(text: str) -> str:
    """What a word for a cluster was probably meant to be."""
    found = _NEAR_A_WORD.fullmatch(text.lower())
    if found is None:
        return ""
    numbers = "x".join(part for part in (found[1], found[2]) if part)
    return did_you_mean(f"{numbers}x{found[3]}", [f"{numbers}x{name}" for name in gpus()])


def llms_of(
    given: Path | None, stand_ins: Sequence[str], traces: Sequence[Trace]
) -> tuple[LlmSpec, ...]:
    """The LLMs of a file and those that `NAME=ARCHITECTURE` describes; without a file, the others
    that the traces call by the name of an architecture that we know, too.

    What has no entry in the file is taken to be served by vLLM, with the context that the longest
    traced call needs.

    Raises:
        BadInput: a stand-in is malformed or unknown; without a file, the traces call an LLM whose
            size is not known.
    """
    chosen = dict(map(_stand_in, stand_ins))
    listed = () if given is None else read_llms(given)
    if twice := {llm.name for llm in listed} & set(chosen):
        raise BadInput(f"--llm {min(twice)}: the LLM file describes it, too")
    needed = longest_calls(traces)
    if given is None:
        chosen = {name: shape_like(name) for name in needed} | chosen
    unknown = sorted(name for name, architecture in chosen.items() if architecture is None)
    if unknown:
        raise BadInput(
            f"the size of {', '.join(unknown)} is not known; say what stands for it: "
            f"--llm '{unknown[0]}=ARCHITECTURE' ({', '.join(sorted(shipped()))}), "
            "or describe it in a file: --llms FILE"
        )
    kinds = {name: kind for name, kind in chosen.items() if kind}
    refuse_long_calls(
        traces,
        {name: most_context(kind) for name, kind in kinds.items()},
        f"let another LLM stand for it (--llm '{min(kinds, default='NAME')}=ARCHITECTURE')",
    )
    return (*listed, *(_spec(name, kind, needed.get(name, 0)) for name, kind in kinds.items()))


def longest_calls(traces: Sequence[Trace]) -> Mapping[str, int]:
    """By LLM, the tokens of its longest successful call, as far as the traces have them."""
    found: dict[str, int] = {}
    for call in (call for trace in traces if trace.ok for call in trace.calls if call.ok):
        found[call.llm] = max(found.get(call.llm, 0), call_tokens(call))
    return found


def _stand_in(text: str) -> tuple[str, str]:
    name, _, architecture = text.rpartition("=")
    if not name:
        raise BadInput(f"--llm {text!r}: write NAME=ARCHITECTURE")
    shape_called(architecture)
    return name, architecture


def _spec(name: str, architecture: str, longest: int) -> LlmSpec:
    shape: dict[str, Any] = shape_called(architecture)
    most = most_context(architecture)
    context = max(shape["max_context"], min(most, 1024 * -(-longest // 1024)))
    fields = {**shape, "name": name, "engine": "vllm", "architecture": architecture}
    return msgspec.convert({**fields, "max_context": context}, LlmSpec)
