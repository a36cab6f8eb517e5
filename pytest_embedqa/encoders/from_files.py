"""Specs in a file, which may name a model to load, but nothing that runs, imports or contacts anything else."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pytest_embedqa.encoders.load import COMMON_OPTIONS
from pytest_embedqa.encoders.spec import Spec

_OF_VECTORS = frozenset({"max_length", "normalize", "pooling"})
_OF_TORCH = _OF_VECTORS | {"attention", "device", "dtype", "threads"}
# Engines that load a model from its files; of each, the keys that say how it is computed. A key that is not here may name
# code: of vLLM the executor, a format of weights and an override may be classes of any module.
_LOADS_FILES: Mapping[str, frozenset[str]] = {
    "builtin": _OF_TORCH,
    "st": _OF_TORCH
    | {"kind", "max_active_dims", "pool_factor", "query_length", "document_length", "query_expansion", "activation"},
    "onnx": _OF_VECTORS | {"device", "dtype", "file", "output", "threads", "tokenizer"},
    "llamacpp": _OF_VECTORS | {"n_gpu_layers", "threads"},
    "vllm": _OF_VECTORS
    | {
        "activation",
        "data_parallel_size",
        "dtype",
        "enforce_eager",
        "gpu_memory_utilization",
        "kv_cache_memory_bytes",
        "max_model_len",
        "max_num_batched_tokens",
        "max_num_seqs",
        "pipeline_parallel_size",
        "quantization",
        "tensor_parallel_size",
    },
}
# Descriptions of what other engines do, as far as it is known.
_DOES: Mapping[str, str] = {
    "python": "imports a module",
    **dict.fromkeys(("openai", "ollama", "rerank-api"), "asks a server"),
}


def why_refused(spec: Spec, allowed: Collection[Spec] = ()) -> str:
    """Describe what a spec asks for beyond loading a model from its files; empty if it asks for no more.

    Args:
        spec: The spec; of a composite each part is asked.
        allowed: Specs that may ask for whatever they do.
    """
    if spec in allowed and not spec.is_public:
        return ""
    if spec.is_composite:
        return next(filter(None, (why_refused(part, allowed) for part in spec.parts)), "")
    if "start" in spec.options:
        return "start= runs a command"
    if spec.engine not in _LOADS_FILES:
        does = _DOES.get(spec.engine, "may do more than load a model from files")
        return f"the engine '{spec.engine}' {does}"
    if "://" in spec.model:
        return "its model is at an address"
    wanted = sorted(spec.options.keys() - _LOADS_FILES[spec.engine] - COMMON_OPTIONS.keys())
    return f"it sets {', '.join(wanted)}" if wanted else ""
