"""GPUs that all LLMs share by turns: prefill and decode apart, weights that come and go.

Source: Aegaeon (SOSP'25, 10.1145/3731569.3764815) and its public artifact (Apache-2.0). Our
implementation of its published policy, in simulated time:

- *Prefill* (`prefill.py`): a call joins the first group of its LLM that has fewer than eight, else
  it opens a group on the GPU with the fewest calls waiting; groups go first come, first served.
- *Decode* (`decode.py`): a call joins the first batch of its LLM with room, else it opens one where
  there are fewest; batches take turns, each as long as its quota (`quotas.py`).
- *Switches* (`weights.py`): weights come from host memory at the rate of the artifact's simulator,
  the next LLM's already while the last one's batch still runs, where both fit.
- There is no prefix cache: KV goes to the host and back with its call, and nobody else uses it.

What it is given: host memory for all weights and all KV; the best of all splits of the GPUs and of
all TP degrees (`pools`); one pool over all nodes, at the price of one node's; prompts of one group
computed together up to what fits a step of our engines (the artifact takes one at a time, which
starves short prompts); batches that reserve what their answers will need, so that none has to be
cut; prefetching across the end of a round; moves of KV that cost a running batch nothing.
What it is not given: knowledge of workflows, and rates: its policy needs none.
"""

from __future__ import annotations

from scepsy.peers.aegaeon.pool import Pool, pools, serving

__all__ = ["Pool", "pools", "serving"]
