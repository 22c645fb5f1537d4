"""`python -m scepsy.engines.llamacpp`: serves one GGUF file until SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scepsy.engines.llamacpp.adapter import TINY_RANDOM
from scepsy.engines.llamacpp.tiny import write_tiny_llm
from scepsy.engines.procfs import end_with_parent

xllamacpp: Any = import_module("xllamacpp")  # compiled, without type stubs


def main() -> None:
    options = _parser().parse_args()
    if options.exit_with_parent is not None:
        end_with_parent(options.exit_with_parent)
    ended = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    with _weights(options) as path:
        try:
            server: Any = xllamacpp.Server(_params(options, path))
        except RuntimeError:
            sys.exit(f"error: llama.cpp cannot serve {path}; the log above has the reason")
    sys.stderr.write(f"{options.alias} ready on {server.listening_address}\n")
    signal.sigwait(ended)


@contextmanager
def _weights(options: argparse.Namespace) -> Generator[Path]:
    """The GGUF file. A random one is removed once it is loaded."""
    if options.model_path == TINY_RANDOM:
        with TemporaryDirectory(prefix="scepsy-") as folder:
            path = Path(folder) / "tiny-random.gguf"
            kind = "rerank" if options.reranking else "embed" if options.embedding else "generate"
            write_tiny_llm(path, kind, seed=options.seed)
            yield path
        return
    path = Path(options.model_path)
    if not path.is_file():
        sys.exit(f"error: no such model file: {path}")
    yield path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scepsy.engines.llamacpp")
    parser.add_argument("--model-path", required=True, help=f"a GGUF file, or {TINY_RANDOM}")
    parser.add_argument("--alias", required=True, help="the name that clients ask for")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=8, help="most sequences at once")
    parser.add_argument("--ctx", type=int, default=2048, help="tokens of context per sequence")
    parser.add_argument("--seed", type=int, default=0, help=f"of {TINY_RANDOM}")
    parser.add_argument("--embedding", action="store_true")
    parser.add_argument("--reranking", action="store_true")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID")
    return parser


def _params(options: argparse.Namespace, path: Path) -> Any:
    params: Any = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_parallel = options.parallel
    params.n_ctx = options.ctx * options.parallel
    params.n_threads_http = options.parallel + 4
    params.endpoint_metrics = True
    params.cache_ram_mib = 0
    params.ui = False
    if options.embedding or options.reranking:
        params.embedding = True
        params.n_batch = params.n_ubatch = options.ctx  # an input is never cut in two
        pooling = xllamacpp.llama_pooling_type
        rank, mean = pooling.LLAMA_POOLING_TYPE_RANK, pooling.LLAMA_POOLING_TYPE_MEAN
        params.pooling_type = rank if options.reranking else mean
    return params


if __name__ == "__main__":
    main()
