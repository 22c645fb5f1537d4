"""GPUs from the XML of `nvidia-smi -q -x` (pure)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from scepsy.discover.found import MIB, FoundGpu
from scepsy.discover.nvidia_smi.usage import taken_by
from scepsy.errors import BadInput

_LOG = re.compile(r"<nvidia_smi_log>.*?</nvidia_smi_log>", re.DOTALL)
_BEGIN = "<nvidia_smi_log>"
_GRAPHICS = "G"


def gpus_in_xml(text: str) -> tuple[FoundGpu, ...] | None:
    """The GPUs in the order of their numbers; None where the text has no XML.

    The memory of a GPU is what is left of it after what the driver reserves, which is what CUDA
    shows to a process. Raises BadInput for XML that is cut off, or that describes several machines.
    """
    if _BEGIN not in text:
        return None
    logs = _LOG.findall(text)
    if text.count(_BEGIN) > 1:
        raise BadInput("there is the XML of several machines in it; use one file for each")
    if not logs:
        raise BadInput("the XML of `nvidia-smi -q -x` is cut off")
    try:
        log = ElementTree.fromstring(logs[0])  # without the document type, so without its entities
    except ElementTree.ParseError as error:
        raise BadInput(f"the XML of `nvidia-smi -q -x` cannot be read: {error}") from None
    return tuple(_gpu(gpu) for gpu in log.iter("gpu"))


def _gpu(gpu: ElementTree.Element) -> FoundGpu:
    total = _bytes(gpu, "fb_memory_usage/total")
    reserved = _bytes(gpu, "fb_memory_usage/reserved") or 0.0
    kinds = [_text(one, "type") for one in gpu.iterfind("processes/process_info")]
    return FoundGpu(
        product=_text(gpu, "product_name") or "",
        memory=None if total is None else total - reserved,
        uuid=_text(gpu, "uuid"),
        taken=taken_by(
            used=_bytes(gpu, "fb_memory_usage/used"),
            processes=sum(kind != _GRAPHICS for kind in kinds),
            mig=_text(gpu, "mig_mode/current_mig"),
            compute_mode=_text(gpu, "compute_mode"),
        ),
    )


def _text(element: ElementTree.Element, path: str) -> str | None:
    return (element.findtext(path) or "").strip() or None


def _bytes(element: ElementTree.Element, path: str) -> float | None:
    """The bytes of "81559 MiB"; None for "N/A"."""
    number, _, unit = (_text(element, path) or "").partition(" ")
    return float(number) * MIB if unit == "MiB" and number.isdigit() else None
