"""Reads the description of an LLM from the folder of its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scepsy.store.files import read_record

QUANTISATION_FILES = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
}
"""Files in which older tools of quantisation left their settings beside `config.json`, and the
`quant_method` of each tool.
"""


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The `config.json` in a folder, completed by the settings of its quantisation; None where
    there is none. Raises BadInput for a damaged file.
    """
    if not (folder / "config.json").is_file():
        return None
    config = read_record(folder / "config.json", dict[str, Any])
    for name, method in QUANTISATION_FILES.items():
        if not config.get("quantization_config") and (folder / name).is_file():
            settings = read_record(folder / name, dict[str, Any])
            settings = settings.get("quantization", settings)
            config["quantization_config"] = {"quant_method": method, **settings}
    return config
