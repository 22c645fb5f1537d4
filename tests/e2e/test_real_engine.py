"""The loop on a real engine: llama.cpp serves beam search, from first trace to last drive."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from e2e.processes import ROOT, marked
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Target
from scepsy.demo.manual_plans import even_split
from scepsy.engines.llamacpp.tiny import write_tiny_llm
from scepsy.store import write_record

pytestmark = pytest.mark.e2e

LLM = """
[[llms]]
name = "{name}"
engine = "llamacpp"
model_path = "{path}"
parameters = 4e6
max_context = 2048
max_sequences = 4
max_tp = 1
"""
# The example with shorter runs: on two cores, eight rounds of a random LLM take half a minute.
PROGRAM = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT / "examples")!r})
import beam_search

beam_search.LEAST_ROUNDS, beam_search.MOST_ROUNDS = 1, 2
beam_search.STEP_TOKENS = beam_search.ANSWER_TOKENS = 16
run = beam_search.run

if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1])))
"""


def test_beam_search_on_llama_cpp(tmp_path: Path) -> None:
    gguf = tmp_path / "tiny.gguf"
    write_tiny_llm(gguf)
    cluster, llms = tmp_path / "cluster.toml", tmp_path / "llms.toml"
    cluster.write_text('gpu_memory = 8e9\n[[nodes]]\nname = "cpu"\ngpus = 2\ngpu_type = "cpu"\n')
    names = ("generator", "verifier")
    llms.write_text("".join(LLM.format(name=name, path=gguf) for name in names))
    program = tmp_path / "short_beam.py"
    program.write_text(PROGRAM)
    problems = tmp_path / "problems.txt"
    problems.write_text("What is 2 + 2?\nHow many primes are there below 10?\n")
    specs = [
        LlmSpec(name=name, engine="llamacpp", model_path=str(gguf), parameters=4e6, max_tp=1,
                max_context=2048, max_sequences=4)
        for name in names
    ]  # fmt: skip
    first = even_split(
        specs,
        Cluster(nodes=(Node(name="cpu", gpus=2, gpu_type="cpu"),), gpu_memory=8e9),
        [Target(workflow="short_beam", rate=0.1)],
    )
    write_record(tmp_path / "first.json", first)
    state = ("--state", tmp_path / "state")
    with marked() as run:

        def step(*arguments: str | Path) -> str:
            done = run.scepsy(*arguments)
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
            return done.stdout

        up = json.loads(step("deploy", tmp_path / "first.json", "--on", "local", *state, "--json"))
        step("trace", "--out", tmp_path / "traces", "--upstream", up["url"],
             "--each", problems, "--", sys.executable, program)  # fmt: skip
        step("down", *state)
        told = json.loads(step("traces", tmp_path / "traces", "--json"))
        (demand,) = told["demands"]
        assert demand["runs"] == 2
        assert {llm["llm"] for llm in demand["llms"]} == set(names)
        assert all(llm["output_tokens"] >= 1 for llm in demand["llms"])
        step("profile", tmp_path / "traces", "--cluster", cluster, "--llms", llms, "--shares", "1",
             "--budget", "8", "--parallel", "1", "--max-rate", "20",
             "--out", tmp_path / "profile.json")  # fmt: skip
        step("plan", "--traces", tmp_path / "traces", "--profile", tmp_path / "profile.json",
             "--cluster", cluster, "--llms", llms, "--target", "short_beam=0.05",
             "--out", tmp_path / "plan.json")  # fmt: skip
        up = json.loads(step("deploy", tmp_path / "plan.json", "--on", "local", *state, "--json"))
        driven = json.loads(
            step("drive", f"{program}:run", "--rate", "0.3", "--duration", "10", "--warmup", "0",
                 "--inputs", problems, "--gateway", up["url"], "--json")
        )  # fmt: skip
        assert driven["workflows"][0]["completed"] == 3
        assert driven["workflows"][0]["failed"] == 0
        step("down", *state)
