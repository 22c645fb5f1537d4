"""Files with tables of steps: a user's table, and a cache of the oracle's answers."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from itertools import product
from pathlib import Path

from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.estimate.step_times.oracle import IDS, SYSTEMS, VERSION, Oracle
from scepsy.estimate.step_times.table import COLUMNS, Table, table_of
from scepsy.store.files import read_bytes, write_atomic

PREFILLS = (32, 128, 256, 512, 1024, 2048, 4096, 8192)
PREFILL_CONTEXTS = (16, 64, 256, 1024, 4096, 16384)
DECODES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DECODE_CONTEXTS = (128, 1024, 4096, 16384)


def read_tables(path: Path) -> dict[tuple[str, int], Table]:
    """A user's tables by (LLM, tp), from CSV with the header `llm`, `tp` and `table.COLUMNS`.

    Raises:
        NotFound: the file does not exist.
        BadInput: a column or a combination of sizes is missing, or a value is not a number.
    """
    reader = csv.DictReader(io.StringIO(read_bytes(path).decode(errors="replace")))
    missing = {"llm", "tp", *COLUMNS} - set(reader.fieldnames or ())
    if missing:
        raise BadInput(f"{path}: column {', '.join(sorted(missing))} is missing")
    rows: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number, row in enumerate(reader, 2):
        try:
            key = row["llm"], int(row["tp"])
            rows.setdefault(key, []).append({name: float(row[name]) for name in COLUMNS})
        except (TypeError, ValueError):
            raise BadInput(
                f"{path}:{number}: tp and the columns after it must be numbers"
            ) from None
    try:
        return {key: table_of(found) for key, found in rows.items()}
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def oracle_table(llm: LlmSpec, gpu_type: str, tp: int, cache: Path) -> Table | None:
    """The oracle's steps, read from `cache`, or asked for and written there. None if the oracle has
    no data of the LLM at this degree on this GPU type.

    Raises NotFound if aiconfigurator-core is not installed and the cache has no answer.
    """
    name = oracle_name(llm)
    if name is None or gpu_type not in SYSTEMS:
        return None
    digest = hashlib.sha256(f"{name} {_config_digest(name)}".encode()).hexdigest()[:12]
    path = cache / f"aiconfigurator-{VERSION}-{gpu_type}-{digest}-tp{tp}.csv"
    if not path.exists():
        try:
            content = _tabulate(
                Oracle.of(name, gpu_type, tp, mixture=llm.experts is not None), llm.name, tp
            )
        except BadInput:
            return None
        write_atomic(path, content.encode())
    return next(iter(read_tables(path).values()))


def oracle_name(llm: LlmSpec) -> str | None:
    """The oracle's name for the LLM, or a folder with a `config.json`."""
    if llm.architecture in IDS:
        return llm.architecture
    folder = llm.model_path
    return folder if folder and (Path(folder) / "config.json").is_file() else None


def cache_directory() -> Path:
    """$SCEPSY_CACHE; if it is not set, `scepsy` in the XDG cache directory."""
    if named := os.environ.get("SCEPSY_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scepsy"


def _config_digest(name: str) -> str:
    config = Path(name) / "config.json"
    return hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else ""


def _tabulate(oracle: Oracle, llm: str, tp: int) -> str:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("llm", "tp", *COLUMNS))
    prefills = [(0, 0), *product(PREFILLS, PREFILL_CONTEXTS)]
    decodes = [(0, 0), *product(DECODES, DECODE_CONTEXTS)]
    for (tokens, context), (sequences, kv) in product(prefills, decodes):
        if tokens or sequences:
            # Prompts so long that half of each is the context; a longer one has its rest cached.
            prompts = max(1, round(tokens / 2 / context)) if tokens else 0
            cached = max(0, context - tokens // 2) if prompts == 1 else 0
            seconds = oracle.seconds(prompts, tokens, cached, sequences, sequences * kv)
            out.writerow((llm, tp, tokens, context, sequences, kv, f"{seconds:.6g}"))
    return text.getvalue()
