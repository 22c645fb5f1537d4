"""Runs in the peer's own environment: Dynamo's replay of the benchmark's load, in virtual time.

Reads what to do from the first argument (JSON), prints the wall seconds and the mean latency.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter


def main() -> None:
    from dynamo.mocker import MockEngineArgs
    from dynamo.replay import run_synthetic_trace_replay

    case = json.loads(sys.argv[1])
    engine = MockEngineArgs(
        num_gpu_blocks=case["blocks"],
        block_size=16,
        max_num_seqs=case["max_sequences"],
        max_num_batched_tokens=case["step_tokens"],
        planner_profile_data=case["profile"],
    )
    start = perf_counter()
    report = run_synthetic_trace_replay(
        case["prompt_tokens"],
        case["output_tokens"],
        case["calls"],
        extra_engine_args=engine,
        num_workers=case["replicas"],
        request_rate=case["rate"],
        router_mode=case["router"],
    )
    seconds = perf_counter() - start
    print(json.dumps({"seconds": seconds, "latency": report["mean_e2e_latency_ms"] / 1e3}))


if __name__ == "__main__":
    main()
