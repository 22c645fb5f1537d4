"""The measured serving points: aiconfigurator-core's `silicon_sample.csv` -> those that we cover.

    out/venv-aic/bin/python -m experiments.silicon.points    # writes experiments/data/silicon.csv

Data of aiconfigurator-core 0.12.0 (NVIDIA, Apache-2.0): what was measured is copied as it is, for
LLMs whose shape we know, on GPU types whose constants we have.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import msgspec

from scepsy.hardware.architectures import shape_called

POINTS = Path(__file__).parents[1] / "data" / "silicon.csv"
LEFT_OUT = Path(__file__).parents[1] / "data" / "silicon_left_out.csv"

GPUS = {"h100_sxm": "h100", "h200_sxm": "h200", "b200_sxm": "b200", "b300_sxm": "b300"}
LLMS = {
    "meta-llama/Llama-3.1-70B": "llama-3.1-70b",
    "meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b",
    "nvidia/Llama-3.1-8B-Instruct-FP8": "llama-3.1-8b",
    "Qwen/Qwen3-32B": "qwen3-32b",
    "Qwen/Qwen3-235B-A22B-FP8": "qwen3-235b-a22b",
    "openai/gpt-oss-120b": "gpt-oss-120b",
    "MiniMaxAI/MiniMax-M2.5": "minimax-m2.5",
}


class Point(msgspec.Struct, frozen=True):
    """A setting and what was measured there. `weights` is the precision of the matrix products,
    `ep` the part of the TP degree that splits experts whole; lengths are nominal; seconds.

    `public` are points of the public benchmark dumps, whose load generator is known to draw
    lengths from 0.8 to 1.0 of the nominal ones. `measured` is the day, where that is known.
    """

    llm: str
    weights: str
    gpu: str
    backend: str
    tp: int
    ep: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    ttft: float
    tpot: float
    public: bool
    measured: str

    @property
    def group(self) -> tuple[str, str, str]:
        weights = "" if self.llm == "gpt-oss-120b" else f"-{self.weights}"
        return f"{self.llm}{weights}", self.gpu, self.backend

    @property
    def least(self) -> float:
        return 0.8 if self.public else 1.0

    @property
    def generated(self) -> float:
        """Output tokens of a call, on average."""
        return self.output_tokens * (1 + self.least) / 2

    @property
    def whole(self) -> float:
        """Seconds of a call."""
        return self.ttft + (self.generated - 1) * self.tpot


def read_points(path: Path = POINTS) -> list[Point]:
    """The points in the order of the file."""
    with path.open() as file:
        return [msgspec.convert(row, Point, strict=False) for row in csv.DictReader(file)]


def main() -> None:
    """Writes the covered points, and how many of which kind were not, and why."""
    source = files("aiconfigurator_core").joinpath("systems/silicon_sample.csv")
    points: dict[Point, Point] = {}
    left_out: Counter[str] = Counter()
    for row in csv.DictReader(source.read_text().splitlines()):
        reason = why_not(row)
        if reason is not None:
            left_out[reason] += 1
            continue
        point = point_of(row)
        undated = msgspec.structs.replace(point, measured="")
        if undated in points:
            left_out["the same measurement again, from another dump"] += 1
        points[undated] = max(point, points.get(undated, point), key=lambda one: one.measured)
    with POINTS.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(Point.__struct_fields__)
        for point in sorted(points.values(), key=msgspec.structs.astuple):
            out.writerow(
                [f"{value:.7g}" if isinstance(value, float) else str(value).lower()
                 for value in msgspec.structs.astuple(point)]
            )  # fmt: skip
    with LEFT_OUT.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("rows", "reason"))
        out.writerows((count, reason) for reason, count in left_out.most_common())
    print(len(points), "points;", sum(left_out.values()), "left out:", dict(left_out))


def why_not(row: dict[str, str]) -> str | None:
    """Why a row is not covered."""
    if row["mode"] != "agg":
        return "disaggregated prefill: our engines do both"
    if row["model_path"] not in LLMS:
        kinds = {
            "deepseek-ai": "MLA attention",
            "nvidia": "MLA attention, or fewer than 4 rows",
            "moonshotai": "MLA attention",
            "zhipuai": "sparse MLA attention",
            "Qwen": "linear attention",
        }
        return f"{row['model_path']}: {kinds[row['model_path'].split('/')[0]]}"
    if row["system"] not in GPUS:
        return f"{row['system']}: no constants"
    (tp, ep), mixture = _degrees(row), shape_called(_shape(row))["experts"] is not None
    columns = _int(row["tp_size"]), max(1, _int(row["moe_ep_size"]))
    split = _int(row["moe_tp_size"]) * columns[1]
    by_data = _int(row["attention_dp_size"]) > 1 or (mixture and split != tp)
    if by_data and (tp, ep) == columns:
        return "attention split by data: a replica of ours has one batch"
    if row["model_path"].startswith("openai") and "concurrency=512;" in row["silicon_data_source"]:
        return "gpt-oss at 512 clients: TPOT as with 8 to 64; their batches were limited somehow"
    if tp > 8:
        return "more than the 8 GPUs of a node"
    return None


def _degrees(row: dict[str, str]) -> tuple[int, int]:
    """TP, and how many ways experts are dealt out. Where TP and EP of a public row are the same,
    one dump has their product as TP, or as EP beside a split by data that was not there: its rows
    are those of another dump, to the digit. Names are right, and some are left out.
    """
    if named := re.search(r"_tp(\d+)(?:_0)?_ep(\d+)", row["id"]):
        return int(named.group(1)), int(named.group(2))
    tp, ep = _int(row["tp_size"]), max(1, _int(row["moe_ep_size"]))
    if row["gemm_quant_mode"] == "fp8" and ep == tp * tp == tp * _int(row["attention_dp_size"]):
        return tp, tp
    return tp, ep


def point_of(row: dict[str, str]) -> Point:
    said = re.search(r"silicon_concurrency=(\d+)", row["silicon_data_source"])
    day = re.search(r"measured=(\d{4}-\d\d-\d\d)", row["silicon_data_source"])
    weights = {"": "bf16", "fp8_block": "fp8_block"}
    tp, ep = _degrees(row)
    return Point(
        llm=LLMS[row["model_path"]],
        weights=weights.get(row["gemm_quant_mode"], row["gemm_quant_mode"]),
        gpu=GPUS[row["system"]],
        backend=row["backend"],
        tp=tp,
        ep=ep,
        prompt_tokens=int(row["isl"]),
        output_tokens=int(row["osl"]),
        concurrency=int(said.group(1)) if said else _int(row["batch_size"]),
        ttft=float(f"{float(row['silicon_ttft_ms']) / 1e3:.7g}"),
        tpot=float(f"{float(row['silicon_tpot_ms']) / 1e3:.7g}"),
        public="gap" not in row["silicon_data_source"],
        measured=day.group(1) if day else "",
    )


def _shape(row: dict[str, str]) -> str:
    name = LLMS[row["model_path"]]
    return f"{name}-fp8" if "235b" in name else name


def _int(text: str) -> int:
    return int(float(text or 0))


if __name__ == "__main__":
    main()
