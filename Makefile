# Two commands do everything on a fresh machine: `make quality` and `make test`.
#   make quality ARGS="--embedqa-model st:intfloat/multilingual-e5-small"
#   make test ARGS="tests/unit -k store"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: quality test lint types wheel clean

quality: $(VENV)/.installed  ## quality thresholds on the embedded model
	$(BIN)/pytest suites -m quality -rs $(ARGS)

test: $(VENV)/.installed  ## the plugin's own tests
	$(BIN)/pytest tests $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist .

# torch first and pinned: left to the resolver, an x86 Linux machine gets gigabytes of CUDA packages.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[quality]" --group dev
	touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
