"""Reads what nvidia-smi prints: GPUs as XML or CSV, and the matrix of their links (pure)."""
