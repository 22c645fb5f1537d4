"""A pool of GPUs that all LLMs share in turns, with separate GPUs for prefill and for decode.

Source: Aegaeon (SOSP'25, 10.1145/3731569.3764815) and its public artifact (Apache-2.0). Our
implementation of its published policy, in simulated time:

- *Prefill* (`prefill.py`): a call joins the first group of its LLM that has fewer than eight calls.
  If there is none, it opens a group on the member with the fewest waiting calls. Groups are served
  in order of arrival.
- *Decode* (`decode.py`): a call joins the first batch of its LLM that has room. If there is none,
  it opens a batch on the member with the fewest batches. Batches take turns, each as long as its
  quota (`quotas.py`).
- *Switches* (`weights.py`): weights are loaded from host memory at the rate of the artifact's
  simulator. If both LLMs fit, the next LLM's weights are loaded while the present batch runs.
- There is no prefix cache: the KV of a call moves to the host and back, and no other call uses it.

What it is given: enough host memory for all weights and all KV; the best division into prefill and
decode members and the best TP degree (`pools`); one pool over all nodes, without network cost;
the prompts of a group computed together up to the token budget of our engines' steps (the artifact
computes one prompt at a time, which starves short prompts); batches that reserve the KV of whole
answers, so that no call is preempted; prefetching across the end of a round; and KV transfers that
do not slow a running batch. What it is not given: workflows and rates, which its policy does not
need.
"""

from __future__ import annotations

from scepsy.peers.aegaeon.pool import Pool, pools, serving

__all__ = ["Pool", "pools", "serving"]
