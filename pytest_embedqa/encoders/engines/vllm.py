"""``vllm:``, any embedding model that vLLM serves, in this process (its pooling runner)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines import vllm_running as running
from pytest_embedqa.encoders.engines.checkpoint import require_dense_weights, require_whole_checkpoint
from pytest_embedqa.encoders.engines.vllm_reranker import VllmReranker
from pytest_embedqa.encoders.model_files import require_fetched
from pytest_embedqa.encoders.model_folder import ModelFolder, find_folder, read_folder, truncation_facts, weights_digest
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.reproducible import require_reproducible
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive

if TYPE_CHECKING:
    from vllm import LLM

_POOLING = {"mean": "MEAN", "cls": "CLS", "lasttoken": "LAST"}


class VllmEngine:
    """Engine that runs a model with vLLM.

    A text longer than the model takes is cut at ``max_length``, as sentence-transformers does; by itself vLLM refuses it.
    """

    options: ClassVar[Mapping[str, Parser]] = {
        **running.ARGUMENTS,
        "max_length": positive,
        "pooling": choice(*_POOLING),
        "normalize": boolean,
        "activation": choice("none", "sigmoid"),
    }
    counts_tokens = True

    def __init__(self, llm: LLM, identity: Identity, prompts: Prompts | None) -> None:
        """Wrap a loaded model; only the first ``identity.full_dim`` numbers of its vectors are kept."""
        self._llm = llm
        self._tokenizer = llm.get_tokenizer()
        self.identity = identity
        self.prompts = prompts
        self.limits = running.limits(identity)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> VllmEngine | VllmReranker:
        """Start vLLM on a model, by its Hub name or folder."""
        if not spec.model:
            raise EngineError(
                f"The spec '{spec}' names no model. Write vllm:MODEL, with a name on the Hub or a folder."
            )
        if importlib.util.find_spec("vllm") is None:
            raise MissingExtraError("vllm", "vllm", f"The engine of the spec '{spec}'")
        here = Path(spec.model).is_dir()
        path = find_folder(spec.model, spec.revision, fetch=running.SMALL_FILES)
        if path and (reranker := read_folder(path)).kind == "CrossEncoder":
            return VllmReranker.load(spec, options, reranker)
        if "activation" in options:
            raise EngineError(
                f"activation= was given, but the model of the spec '{spec}' gives vectors; it is for the scores of a reranker."
            )
        files = _folder(spec, options)  # before the half minute that a start takes
        if files and here:
            _require_weights(files, spec, options)
        with running.environment_kept():
            llm = _start(spec, options, files)
        files = files or _folder(spec, options)
        if files and not here:  # vLLM has downloaded them
            _require_weights(files, spec, options)
        return cls(llm, _identity(llm, spec, options, files), files.prompts if files else None)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        cut = {"truncation": True, "max_length": self.identity.max_length}
        outputs = running.encode(self._llm, self.identity, list(texts), pooling_task="embed", tokenization_kwargs=cut)
        vectors = np.stack([output.outputs.data.float().cpu().numpy() for output in outputs])
        return vectors[:, : self.identity.full_dim]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        tokens = self._tokenizer(list(texts), truncation=False, return_attention_mask=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def close(self) -> None:
        """Stop vLLM's processes and free the device."""
        with running.stopping(self._llm):
            del self._llm, self._tokenizer


def _folder(spec: Spec, options: Mapping[str, Any]) -> ModelFolder | None:
    """Return the model's folder, or for a model on the Hub its small files, if they can be had."""
    path = find_folder(spec.model, spec.revision, fetch=running.SMALL_FILES)
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
    if running.loads_by_name(options):
        require_whole_checkpoint(files.transformer, spec)
    for module in files.chain:
        if module.name == "Dense":
            require_dense_weights(module.path, module.config, spec)


def _start(spec: Spec, options: Mapping[str, Any], files: ModelFolder | None) -> LLM:
    running.keep_quiet()
    from vllm.config import PoolerConfig  # 15 seconds to import

    # By itself, vLLM ignores whatever it does not know in the files, and pools as is usual for the architecture.
    pooler = {
        "seq_pooling_type": _POOLING.get(options.get("pooling") or (files.pooling if files else None) or ""),
        "use_activation": options.get("normalize", files.normalize if files else None),
    }
    given = {key: value for key, value in pooler.items() if value is not None}
    return running.start(spec, options, pooler_config=PoolerConfig(**given) if given else None)


def _identity(llm: LLM, spec: Spec, options: Mapping[str, Any], files: ModelFolder | None) -> Identity:
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
    return Identity(
        model=spec.model,
        engine=spec.engine,
        weights=weights_digest(files.path) if files else None,
        revision=spec.revision,
        libraries=running.libraries(),
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
            **running.deciding(llm, options),
            **truncation_facts(files.truncate_dim if files else None, normalised=normalize),
        },
    )
