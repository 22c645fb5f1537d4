# Everything a person or CI runs. Each target sets up what it needs; nothing has to be installed by hand but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-fast check bench setup gpubench-cpu clean

demo: setup
	@$(BIN)/scepsy demo

test: setup check
	$(BIN)/pytest

test-fast: setup
	$(BIN)/pytest -m "not e2e"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/planner.py
	$(BIN)/python benchmarks/simulator.py $(if $(PEER),--peer)

setup: $(STAMP)

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

clean:
	rm -rf $(VENV) out build .pytest_cache .hypothesis .ruff_cache .import_linter_cache
