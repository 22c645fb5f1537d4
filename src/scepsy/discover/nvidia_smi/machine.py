"""One machine from all that nvidia-smi printed on it (pure)."""

from __future__ import annotations

from scepsy.discover.found import FoundNode
from scepsy.discover.nvidia_smi.csv import gpus_in_csv
from scepsy.discover.nvidia_smi.topology import links_of, without_matrix
from scepsy.discover.nvidia_smi.xml import gpus_in_xml
from scepsy.errors import BadInput

COLLECT = "nvidia-smi -q -x; nvidia-smi topo -m"
"""The commands whose output, one after the other, says all that is asked of a machine."""
_FAILURES = ("NVIDIA-SMI has failed", "Failed to initialize NVML", "No devices were found")


def machine(name: str, text: str, *, source: str, rack: str | None = None) -> FoundNode:
    """The node that `text` describes: XML or CSV, and the matrix of links if it is there.

    `source` is where the text is from, as errors name it. Raises BadInput where the text has no
    GPUs, or describes something else than one whole machine.
    """
    try:
        linked = links_of(text)
        gpus = gpus_in_xml(text) or gpus_in_csv(without_matrix(text))
        if not gpus:
            raise BadInput(_nothing(text))
        highest = max((pair[1] for pair in linked or ()), default=0)
        if highest >= len(gpus):
            raise BadInput(f"its matrix has a GPU{highest}, its list has {len(gpus)} GPUs")
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None
    return FoundNode(name=name, gpus=gpus, linked=linked, rack=rack)


def _nothing(text: str) -> str:
    """Why there is no GPU in the text, and what to do."""
    said = next((line.strip() for line in text.splitlines() if line.startswith(_FAILURES)), None)
    if said is not None:
        return f"nvidia-smi said: {said}"
    return f"this is no list of GPUs by nvidia-smi; make it on the machine with `{COLLECT}`"
