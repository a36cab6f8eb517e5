"""vLLM in this process: its start, its arguments, its errors and its end, for whatever it computes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.model_files import damaged
from pytest_embedqa.encoders.reproducible import OUT_OF_RANGE
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, fraction, positive

if TYPE_CHECKING:
    from vllm import LLM

# Files that say what a model on the Hub is.
SMALL_FILES = ("*.json", "*.jinja", "*/config.json", "README.md")
# Values of load_format whose files hold the weights under the model's own names.
_WHOLE_FORMATS = ("auto", "hf", "safetensors", "pt")
_LIBRARIES = ("torch", "transformers", "tokenizers")
# vLLM forms batches of its own; these limits decide how often progress is shown and rows are stored.
_LIMITS = {"cpu": Limits(batch_tokens=16_384, batch_size=256), "gpu": Limits(batch_tokens=1_048_576, batch_size=4096)}
# Numerics depend on these, too; sizes of batches and memory are left out.
_DECIDING = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "enforce_eager",
    "hf_overrides",
    "trust_remote_code",
    "load_format",
)


def _json(raw: str) -> Any:
    return json.loads(raw)


# Arguments that vLLM gets as they are, under its own names.
ARGUMENTS: Mapping[str, Parser] = {
    "dtype": choice("auto", "half", "float16", "bfloat16", "float", "float32"),
    "quantization": str,
    "tensor_parallel_size": positive,
    "pipeline_parallel_size": positive,
    "data_parallel_size": positive,
    "distributed_executor_backend": str,
    "max_model_len": positive,
    "max_num_seqs": positive,
    "max_num_batched_tokens": positive,
    "gpu_memory_utilization": fraction,
    "kv_cache_memory_bytes": positive,
    "enforce_eager": boolean,
    "load_format": str,
    "hf_overrides": _json,
    "trust_remote_code": boolean,
}


def loads_by_name(options: Mapping[str, Any]) -> bool:
    """Return whether vLLM loads the weights of a checkpoint as they are, under the model's own names."""
    return not options.get("quantization") and options.get("load_format", "auto") in _WHOLE_FORMATS


def keep_quiet() -> None:
    """Keep vLLM's log to errors, unless the environment says otherwise; before vLLM is imported.

    Its processes read this too: its log would bury a test's output.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def start(spec: Spec, options: Mapping[str, Any], **given: Any) -> LLM:
    """Start vLLM's pooling runner on a model.

    Args:
        spec: The spec.
        options: Values of the spec's keys, of which vLLM gets ``ARGUMENTS``.
        given: Further arguments of vLLM.

    Raises:
        EngineError: If it can't start, with its reason.
    """
    keep_quiet()
    from vllm import LLM  # 15 seconds to import

    try:
        return LLM(
            model=spec.model,
            revision=spec.revision,
            runner="pooling",
            use_tqdm_on_load=False,
            **{**{key: value for key, value in options.items() if key in ARGUMENTS}, **given},
        )
    except Exception as error:
        raise EngineError(
            f"vLLM can't start on the model of the spec '{spec}': {damaged(spec.model) or f'{type(error).__name__}: {error}'}\n"
            "VLLM_LOGGING_LEVEL=INFO in the environment shows how far it came."
        ) from error


def encode(llm: LLM, identity: Identity, prompts: list[Any], **given: Any) -> list[Any]:
    """Return vLLM's outputs for a batch of prompts, in their order.

    Raises:
        OutOfMemoryError: If the batch does not fit.
        EngineError: If vLLM fails otherwise.
    """
    try:
        outputs: list[Any] = llm.encode(prompts, use_tqdm=False, **given)
    except Exception as error:
        if "out of memory" in str(error):
            raise OutOfMemoryError(str(error).partition("\n")[0]) from None
        beyond = "index out of range" in str(error) or "device-side assert" in str(error)
        memory = "\nIf it ran out of memory, set gpu_memory_utilization= or max_num_batched_tokens= lower in the spec."
        raise EngineError(
            f"vLLM failed on a batch of {len(prompts)} texts ({identity.model}): {type(error).__name__}: {error}"
            + (OUT_OF_RANGE if beyond else memory)
        ) from error
    return outputs


@contextlib.contextmanager
def stopping(llm: LLM) -> Iterator[None]:
    """Stop vLLM's processes, and free the device once the caller has deleted its references inside this context."""
    from vllm.distributed import cleanup_dist_env_and_memory

    with environment_kept():
        llm.llm_engine.engine_core.shutdown()
        del llm
        yield
        cleanup_dist_env_and_memory()  # it collects garbage before it empties the device's cache


def limits(identity: Identity) -> Limits:
    """Return the limits of a batch on the identity's device."""
    return _LIMITS["cpu" if identity.device == "cpu" else "gpu"]


def libraries() -> dict[str, str]:
    """Return the versions of vLLM and of the libraries that compute in it."""
    from vllm import __version__

    return {"vllm": __version__, **{library: version(library) for library in _LIBRARIES}}


def deciding(llm: LLM, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of vLLM that change numbers, for an identity."""
    quantization = llm.llm_engine.model_config.quantization
    return {
        **({"quantization": quantization} if quantization else {}),
        **{key: json.dumps(options[key]) for key in _DECIDING if key in options},
    }


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """Undo vLLM's changes of the environment: they are for the processes that vLLM starts, not for the user's tests."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
