"""Step times of aiconfigurator's forward-pass oracle for random loads, as a compressed CSV.

    python -m venv out/venv-aic
    out/venv-aic/bin/pip install -e '.[aiconfigurator]'
    out/venv-aic/bin/python benchmarks/oracle_steps.py benchmarks/data/oracle_steps.csv.gz

The oracle is `RustForwardPassPerfModel` of aiconfigurator-core 0.12.0 (NVIDIA, Apache-2.0), which
interpolates operator times measured on silicon. The same seed gives the same file.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
import sys
from pathlib import Path

from scepsy.errors import BadInput
from scepsy.estimate.step_times.oracle import Oracle

LLMS = {
    "llama-3.1-8b": (1, 2, 4, 8),
    "qwen3-8b": (1, 2, 4),
    "qwen3-32b": (1, 2, 4, 8),
    "llama-3.1-70b": (2, 4, 8),
    "qwen3-0.6b": (1,),
    "llama-3.1-70b-fp8": (1, 2, 4, 8),
    "gpt-oss-20b": (1, 2, 4),
    "gpt-oss-120b": (1, 2, 4, 8),
    "qwen3-30b-a3b": (1, 2, 4),
}
GPUS = ("a100", "b200", "h100", "h200", "l40s")
STEPS = 60
COLUMNS = ("gpu", "llm", "tp", "prefills", "prefill_tokens", "prefill_kv", "decodes", "decode_kv")


def main() -> None:
    """Writes the file named on the command line."""
    rng = random.Random(20261121)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow((*COLUMNS, "seconds"))
    for gpu in GPUS:
        for llm, degrees in LLMS.items():
            for tp in degrees:
                loads = [_load(rng) for _ in range(STEPS)]
                try:
                    oracle = Oracle.of(llm, gpu, tp)
                    rows = [(*load, f"{oracle.seconds(*load):.6g}") for load in loads]
                except BadInput as reason:
                    print(reason, file=sys.stderr)
                    continue
                out.writerows((gpu, llm, tp, *row) for row in rows)
    with gzip.GzipFile(sys.argv[1], "wb", mtime=0) as file:
        file.write(text.getvalue().encode())
    print(f"{text.getvalue().count(chr(10)) - 1} steps in {Path(sys.argv[1])}")


def _load(rng: random.Random) -> tuple[int, int, int, int, int]:
    """Decoding, prefilling and both in equal parts; sizes spread evenly over their logarithms."""
    kind = rng.choice(("decode", "prefill", "mixed"))
    prefills = tokens = before = decodes = kv = 0
    if kind != "decode":
        tokens = _log_uniform(rng, 32, 8192)
        prefills = min(rng.choice((1, 1, 2, 4)), tokens // 32)
        before = rng.choice((0, prefills * _log_uniform(rng, 64, 4096)))
    if kind != "prefill":
        decodes = _log_uniform(rng, 1, 256)
        kv = decodes * _log_uniform(rng, 128, 16384)
    return prefills, tokens, before, decodes, kv


def _log_uniform(rng: random.Random, low: int, high: int) -> int:
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


if __name__ == "__main__":
    main()
