"""``vllm:``, any embedding model that vLLM serves, in this process (its pooling runner)."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines.checkpoint import require_dense_weights, require_whole_checkpoint
from pytest_embedqa.encoders.model_files import damaged, require_fetched
from pytest_embedqa.encoders.model_folder import ModelFolder, find_folder, read_folder, truncation_facts, weights_digest
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.reproducible import OUT_OF_RANGE, require_reproducible
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, fraction, positive

if TYPE_CHECKING:
    from vllm import LLM

_LIBRARIES = ("torch", "transformers", "tokenizers")
_SMALL_FILES = ("*.json", "*/config.json", "README.md")
# Values of load_format whose files hold the weights under the model's own names.
_WHOLE_FORMATS = ("auto", "hf", "safetensors", "pt")
_POOLING = {"mean": "MEAN", "cls": "CLS", "lasttoken": "LAST"}
# vLLM forms batches of its own; these limits decide how often progress is shown and vectors are stored.
_LIMITS = {"cpu": Limits(batch_tokens=16_384, batch_size=256), "gpu": Limits(batch_tokens=1_048_576, batch_size=4096)}


def _json(raw: str) -> Any:
    return json.loads(raw)


class VllmEngine:
    """Engine that runs a model with vLLM.

    A text longer than the model takes is cut at ``max_length``, as sentence-transformers does; by itself vLLM refuses it.
    """

    # Arguments that vLLM gets as they are, under its own names.
    arguments: ClassVar[Mapping[str, Parser]] = {
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
    options: ClassVar[Mapping[str, Parser]] = {
        **arguments,
        "max_length": positive,
        "pooling": choice(*_POOLING),
        "normalize": boolean,
    }
    counts_tokens = True

    def __init__(self, llm: LLM, identity: Identity, prompts: Prompts | None) -> None:
        """Wrap a loaded model; only the first ``identity.full_dim`` numbers of its vectors are kept."""
        self._llm = llm
        self._tokenizer = llm.get_tokenizer()
        self.identity = identity
        self.prompts = prompts
        self.limits = _LIMITS["cpu" if identity.device == "cpu" else "gpu"]

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> VllmEngine:
        """Start vLLM on a model, by its Hub name or folder."""
        if not spec.model:
            raise EngineError(
                f"The spec '{spec}' names no model. Write vllm:MODEL, with a name on the Hub or a folder."
            )
        if importlib.util.find_spec("vllm") is None:
            raise MissingExtraError("vllm", "vllm", f"The engine of the spec '{spec}'")
        here = Path(spec.model).is_dir()
        files = _folder(spec, options)  # before the half minute that a start takes
        if files and here:
            _require_weights(files, spec, options)
        with _environment_kept():
            llm = _start(spec, options, files)
        files = files or _folder(spec, options)
        if files and not here:  # vLLM has downloaded them
            _require_weights(files, spec, options)
        return cls(llm, _identity(llm, spec, options, files), files.prompts if files else None)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        cut = {"truncation": True, "max_length": self.identity.max_length}
        try:
            outputs = self._llm.encode(list(texts), pooling_task="embed", tokenization_kwargs=cut, use_tqdm=False)
        except Exception as error:
            if "out of memory" in str(error):
                raise OutOfMemoryError(str(error).partition("\n")[0]) from None
            beyond = "index out of range" in str(error) or "device-side assert" in str(error)
            memory = (
                "\nIf it ran out of memory, set gpu_memory_utilization= or max_num_batched_tokens= lower in the spec."
            )
            raise EngineError(
                f"vLLM failed on a batch of {len(texts)} texts ({self.identity.model}): {type(error).__name__}: {error}"
                + (OUT_OF_RANGE if beyond else memory)
            ) from error
        vectors = np.stack([output.outputs.data.float().cpu().numpy() for output in outputs])
        return vectors[:, : self.identity.full_dim]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        tokens = self._tokenizer(list(texts), truncation=False, return_attention_mask=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def close(self) -> None:
        """Stop vLLM's processes and free the device."""
        from vllm.distributed import cleanup_dist_env_and_memory

        with _environment_kept():
            self._llm.llm_engine.engine_core.shutdown()
            del self._llm, self._tokenizer
            cleanup_dist_env_and_memory()  # it collects garbage before it empties the device's cache


def _folder(spec: Spec, options: Mapping[str, Any]) -> ModelFolder | None:
    """Return the model's folder, or for a model on the Hub its small files, if they can be had."""
    path = find_folder(spec.model, spec.revision, fetch=_SMALL_FILES)
    if not path:
        return None
    files = read_folder(path)
    require_reproducible(files, spec, "vllm", options)
    if files.pooling is None and "pooling" not in options:
        raise EngineError(
            f"Nothing says how the model of the spec '{spec}' pools its tokens (no modules.json), and vLLM would guess. Set pooling={'|'.join(_POOLING)}."
        )
    return files


def _require_weights(files: ModelFolder, spec: Spec, options: Mapping[str, Any]) -> None:
    """Refuse a model with parts that vLLM would skip silently."""
    require_fetched(spec, *files.path.iterdir())
    if not options.get("quantization") and options.get("load_format", "auto") in _WHOLE_FORMATS:
        require_whole_checkpoint(files.transformer, spec)
    for module in files.chain:
        if module.name == "Dense":
            require_dense_weights(module.path, module.config, spec)


def _start(spec: Spec, options: Mapping[str, Any], files: ModelFolder | None) -> LLM:
    # vLLM reads this when it is imported, and so do its processes: its log would bury a test's output.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM  # 15 seconds to import
    from vllm.config import PoolerConfig

    # By itself, vLLM ignores whatever it does not know in the files, and pools as is usual for the architecture.
    pooler = {
        "seq_pooling_type": _POOLING.get(options.get("pooling") or (files.pooling if files else None) or ""),
        "use_activation": options.get("normalize", files.normalize if files else None),
    }
    given = {key: value for key, value in pooler.items() if value is not None}
    try:
        return LLM(
            model=spec.model,
            revision=spec.revision,
            runner="pooling",
            pooler_config=PoolerConfig(**given) if given else None,
            use_tqdm_on_load=False,
            **{key: value for key, value in options.items() if key in VllmEngine.arguments},
        )
    except Exception as error:
        raise EngineError(
            f"vLLM can't start on the model of the spec '{spec}': {damaged(spec.model) or f'{type(error).__name__}: {error}'}\n"
            "VLLM_LOGGING_LEVEL=INFO in the environment shows how far it came."
        ) from error


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Undo vLLM's changes of the environment: they are for the processes that vLLM starts, not for the user's tests."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _identity(llm: LLM, spec: Spec, options: Mapping[str, Any], files: ModelFolder | None) -> Identity:
    from vllm import __version__
    from vllm.platforms import current_platform

    config = llm.llm_engine.model_config
    pooler = config.pooler_config
    pooling = {theirs: ours for ours, theirs in _POOLING.items()}.get(pooler.seq_pooling_type, pooler.seq_pooling_type)
    normalize = pooler.use_activation is not False
    wanted = (
        options.get("pooling", files.pooling if files else pooling),
        options.get("normalize", files.normalize if files else normalize),
    )
    if wanted != (pooling, normalize):
        raise EngineError(
            f"vLLM computes the model of the spec '{spec}' with pooling={pooling} and normalize={str(normalize).lower()}, where {wanted[0]} and {str(wanted[1]).lower()} were meant. Set both in the spec, or load it with st:."
        )
    limits = [options.get("max_length") or (files.max_length if files else None), config.max_model_len]
    # Numerics depend on these, too; sizes of batches and memory are left out.
    deciding = (
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "enforce_eager",
        "hf_overrides",
        "trust_remote_code",
        "load_format",
    )
    return Identity(
        model=spec.model,
        engine=spec.engine,
        weights=weights_digest(files.path) if files else None,
        revision=spec.revision,
        libraries={"vllm": __version__, **{library: version(library) for library in _LIBRARIES}},
        dtype=str(config.dtype).removeprefix("torch."),
        device=current_platform.device_type,
        pooling=pooling,
        normalize=normalize and not (files and files.truncate_dim),
        similarity=files.similarity if files else "cosine",
        max_length=min(limit for limit in limits if limit),
        full_dim=min(config.embedding_size, files.truncate_dim or config.embedding_size)
        if files
        else config.embedding_size,
        options={
            **({"quantization": config.quantization} if config.quantization else {}),
            **{key: json.dumps(options[key]) for key in deciding if key in options},
            **truncation_facts(files.truncate_dim if files else None, normalised=normalize),
        },
    )
