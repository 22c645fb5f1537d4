"""AlpaServe's own placement search (github.com/alpa-projects/mms) on our problems.

    python3 -m venv VENV && VENV/bin/pip install numpy numba scipy fastapi uvicorn
    VENV/bin/python experiments/peer_planners/alpaserve.py --source CLONE [--out DIR]

after problems.py. It does not know continuous batching: a call's time on a group is its part of a
saturated engine, cut into equal stages where the group is a pipeline; its goal is five times an
idle call. What it imports to serve (Ray, plots) is not needed to plan, and stood in for. Writes
alpaserve.json, rows as in ours.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

OUT = Path(__file__).parents[2] / "out" / "peer_planners"
ABSENT = ("ray", "ray.actor", "ray.util", "ray.util.scheduling_strategies", "matplotlib")
GOAL = 5.0
MEMORY = 78e9
"""Bytes of a GPU of 80 GB that an engine may use."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="a clone of its repository")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.source))
    sys.modules.update({name: MagicMock() for name in (*ABSENT, "matplotlib.pyplot")})
    from alpa_serve.placement_policy.base_policy import ClusterEnv
    from alpa_serve.placement_policy.model_parallelism import (
        ModelParallelismSearch,
    )

    rows = []
    for problem in json.loads((arguments.out / "problems.json").read_text()):
        models = [model(llm) for llm in problem["llms"]]
        machines = ClusterEnv(num_devices=problem["gpus"], mem_budget=MEMORY)

        def once(models: list = models, machines: ClusterEnv = machines) -> tuple[float, object]:
            began = time.process_time()
            found, _ = ModelParallelismSearch().solve_placement(models, machines)
            return time.process_time() - began, found

        (first, _), (again, found) = once(), once()
        rows.append(
            {
                "planner": "AlpaServe's own",
                "llms": len(models),
                "gpus": problem["gpus"],
                "first": first,
                "seconds": again,
                "allocation": told(found, models),
            }
        )
        print(rows[-1], flush=True)
        (arguments.out / "alpaserve.json").write_text(json.dumps(rows, indent=1) + "\n")


def model(llm: dict) -> object:
    from alpa_serve.placement_policy.base_policy import ModelData
    from alpa_serve.profiling import (
        LatencyMemData,
        ParallelConfig,
        ProfilingResult,
    )

    known = {
        ParallelConfig(1, int(op), pp): LatencyMemData(
            latency={1: [seconds / pp] * pp},
            act_mem={1: [0.0] * pp},
            weight_mem=[llm["weights"] / (int(op) * pp)] * pp,
        )
        for op, seconds in llm["saturated"].items()
        for pp in (1, 2, 4, 8)
    }
    idle = min(llm["idle"].items(), key=lambda one: int(one[0]))[1]
    result = ProfilingResult(llm["name"], known, 0.0, 0.0)
    return ModelData(llm["name"], GOAL * idle, llm["rate"], 1.0, result)


def told(found: object, models: list) -> str:
    groups = [
        f"TP{config.op} x PP{config.pp}: {' + '.join(sorted(models[one].name for one in group))}"
        for config, group in zip(found.group_configs, found.group_models, strict=True)
    ]
    return "; ".join(groups)


if __name__ == "__main__":
    main()
