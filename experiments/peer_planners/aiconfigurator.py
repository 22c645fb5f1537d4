"""AIConfigurator's own search, LLM by LLM, on our first problem.

    python3 -m venv VENV && VENV/bin/pip install aiconfigurator==0.12.0
    VENV/bin/python experiments/peer_planners/aiconfigurator.py [--out DIR]

after problems.py. It plans one LLM at a time on GPUs of its own: each gets an even part of the
cluster. Writes aiconfigurator.json, rows as in ours.json; a call is a process: none is the first.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).parents[2] / "out" / "peer_planners"
SYSTEMS = {"a100": "a100_sxm", "h100": "h100_sxm"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    problem = json.loads((arguments.out / "problems.json").read_text())[0]
    gpus = problem["gpus"] // len(problem["llms"])
    seconds, found = 0.0, []
    for llm in problem["llms"]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(json.dumps(llm["config"]))
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            text = ask(folder, gpus, SYSTEMS[problem["gpu_type"]], llm["rate"])
            seconds += resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        found.append(f"{llm['name']}: {best(text)}")
        print(found[-1], flush=True)
    row = {
        "planner": "AIConfigurator's own",
        "llms": len(problem["llms"]),
        "gpus": problem["gpus"],
        "first": None,
        "seconds": seconds,
        "allocation": "; ".join(found),
    }
    (arguments.out / "aiconfigurator.json").write_text(json.dumps([row], indent=1) + "\n")


def ask(model: str, gpus: int, system: str, rate: float) -> str:
    command = Path(sys.executable).parent / "aiconfigurator"
    options = f"cli default --system {system} --backend vllm --isl 161 --osl 337 --no-color"
    options += f" --serving-mode agg --total-gpus {gpus} --tpot 100 --ttft 2000"
    answer = subprocess.run(
        [str(command), *options.split(), "--model-path", model],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout + answer.stderr


def best(text: str) -> str:
    """The parallelism of its first answer."""
    found = re.search(r"tp\d+(pp\d+)?", text)
    return found.group(0) if found else text.strip().splitlines()[-1]


if __name__ == "__main__":
    main()
