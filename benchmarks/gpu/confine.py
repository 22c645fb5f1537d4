"""Takes a share of the GPU, from within the process that is to have it."""

from __future__ import annotations

import os
from typing import Any

import torch
from benchmarks.gpu.sharing import Mechanism


def take(mechanism: Mechanism | None, share: float, total: int) -> tuple[float, Any]:
    """Confines this process to `share` of `total` multiprocessors (or cores).

    Returns the share that it really got, and the stream to run on (None: the usual one). Raises
    RuntimeError when a share is not enforced: a client that finds no MPS daemon runs on the whole
    GPU without a word.
    """
    if mechanism == "cores":
        cores = sorted(os.sched_getaffinity(0))[: max(1, round(share * total))]
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(len(cores))
        return len(cores) / total, None
    if mechanism == "mps":
        seen = torch.cuda.get_device_properties(0).multi_processor_count
        if share < 1 and seen >= total:
            raise RuntimeError(f"MPS does not confine: {seen} of {total} multiprocessors seen")
        return seen / total, None
    if mechanism == "green" and share < 1:
        from torch.cuda.green_contexts import GreenContext

        # The driver rounds up to 8 (compute capability 9); so do we, and know what we got.
        multiprocessors = min(total, max(8, 8 * round(share * total / 8)))
        context: Any = GreenContext.create(num_sms=multiprocessors, device_id=0)
        if not hasattr(context, "Stream"):
            raise RuntimeError(f"torch {torch.__version__} has green contexts without streams")
        return multiprocessors / total, context.Stream()
    return 1.0, None
