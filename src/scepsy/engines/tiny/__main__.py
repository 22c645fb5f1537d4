"""`python -m scepsy.engines.tiny FOLDER`: makes a tiny random LLM."""

from __future__ import annotations

import argparse
from pathlib import Path

from scepsy.engines.tiny.folder import write_tiny_folder
from scepsy.engines.tiny.shape import SHAPES


def main() -> None:
    parser = argparse.ArgumentParser(prog="scepsy.engines.tiny")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=("generate", "embed", "rerank"), default="generate")
    parser.add_argument("--size", choices=tuple(SHAPES), default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-weights", action="store_true", help="for --load-format dummy")
    options = parser.parse_args()
    write_tiny_folder(
        options.folder,
        kind=options.kind,
        size=options.size,
        weights=not options.no_weights,
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
