"""Published measurements of LLM steps under an MPS thread percentage.

Source: medians of the 1,096 complete rows of `examples/placement/llama.json` in the MuxServe
repository (Duan et al., "MuxServe: Flexible Spatial-Temporal Multiplexing for Multiple LLM
Serving", ICML 2024): LLaMA 7B to 65B, TP 1 to 8, A100-80GB, each engine alone on its GPU, a vLLM
of 2024 without CUDA graphs. Times are relative to the whole GPU. The file has no licence, so only
these medians are here.
"""

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

LONG_PREFILL = (2.54, 1.98, 1.60, 1.39, 1.26, 1.14, 1.07)
"""Prefills of at least 2,048 tokens, TP 1 and 2 (98 rows)."""

SMALL_DECODE = (1.38, 1.21, 1.08, 1.06, 1.03, 1.02, 1.00)
"""Decoding of at most 32 sequences where the GPU is the bound (120 rows)."""

LLAMA_7B_DECODE_MS = {
    1: (12.5, 13.6, 17.3),
    8: (13.4, 14.5, 20.0),
    32: (18.7, 21.2, 26.2),
    128: (40.9, 51.0, 69.1),
}
"""By sequences of 512 tokens, TP 1: milliseconds on a whole GPU, 0.5 and 0.3 of it."""

LLAMA_7B_PREFILL_MS = (609.0, 1003.0, 1625.0)
"""16 prompts of 512 tokens, likewise."""
