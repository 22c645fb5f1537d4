"""What one NVIDIA GPU does with an LLM's steps: alone, on a share, beside a neighbour.

`python -m benchmarks.gpu --out DIR` measures (torch; vLLM if installed), `python -m
benchmarks.gpu.fit DIR` fits. `docs/guides/measure-a-gpu.md` says what, why and what to do with it.
"""
