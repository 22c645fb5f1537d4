"""MuxServe's own placement search (github.com/hao-ai-lab/MuxServe) on our problems.

    python3 -m venv VENV && VENV/bin/pip install cvxpy transformers pyyaml numpy
    VENV/bin/python experiments/peer_planners/muxserve.py --source CLONE [--out DIR]

after problems.py. Its measurements of LLaMA on A100, its own constants (161 and 337 tokens), its
rates per LLM. Writes muxserve.json, rows as in ours.json.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import tempfile
import time
from pathlib import Path

OUT = Path(__file__).parents[2] / "out" / "peer_planners"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="a clone of its repository")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    path = arguments.source / "muxserve" / "muxsched" / "placement.py"
    spec = importlib.util.spec_from_file_location("placement", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    costs = arguments.source / "examples" / "placement" / "llama.json"
    rows = []
    for problem in json.loads((arguments.out / "problems.json").read_text()):
        with tempfile.TemporaryDirectory() as folder:
            group = Path(folder) / "models.yaml"
            group.write_text(json.dumps(group_of(problem, Path(folder))))

            def once(group: Path = group) -> tuple[float, dict | None]:
                began = time.process_time()
                with contextlib.redirect_stdout(io.StringIO()):
                    found = module.PlacementOptimizer(str(group), str(costs)).optimize(
                        verbose=False, dump_to_yaml=False
                    )
                return time.process_time() - began, found

            (first, _), (again, found) = once(), once()
        rows.append(
            {
                "planner": "MuxServe's own",
                "llms": len(problem["llms"]),
                "gpus": problem["gpus"],
                "first": first,
                "seconds": again,
                "allocation": told(found),
            }
        )
        print(rows[-1], flush=True)
        (arguments.out / "muxserve.json").write_text(json.dumps(rows, indent=1) + "\n")


def group_of(problem: dict, folder: Path) -> dict:
    """Its workload file; it reads an LLM's shape from a folder called llama-SIZE."""
    models = []
    for llm in problem["llms"]:
        home = folder / f"llama-{llm['size']}"
        home.mkdir(exist_ok=True)
        (home / "config.json").write_text(json.dumps(llm["config"]))
        models.append({"name": llm["name"], "model": str(home), "rate": llm["rate"]})
    nodes = problem["gpus"] // 8
    return {"cluster": {"nnodes": nodes, "ngpus_per_node": 8}, "models": models}


def told(found: dict | None) -> str:
    if found is None:
        return "none found"
    meshes = [
        f"{name.split('idx')[0].replace('mesh', 'TP')}: {' + '.join(llms)}"
        for name, llms in found.items()
        if isinstance(llms, dict)
    ]
    return "; ".join(meshes)


if __name__ == "__main__":
    main()
