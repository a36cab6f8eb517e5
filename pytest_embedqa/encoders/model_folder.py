"""What a model's folder says about itself: the files that sentence-transformers writes, read without loading a model.

Engines other than sentence-transformers read pooling, normalisation, maximum length and prompts from here, so that
they do with a model what sentence-transformers would do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.digest import folder_digest
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Spec

# Names of older files, one truth value for each kind of pooling.
_OLD_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
DENSE = "SentenceTransformer"
_KINDS = {
    "CrossEncoder": " (a reranker, which scores pairs of texts)",
    "SparseEncoder": " (with a weight for each word of its vocabulary)",
    "MultiVectorEncoder": " (with a vector for each token)",
}
# Models without a limit say so by a number of this size: 1e30 of a tokenizer, infinity of static models.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class ModelFolder:
    """The facts of a model's folder that decide its vectors, weights aside.

    Attributes:
        path: The folder.
        modules: Class names of sentence-transformers' modules in order, e.g. ``("Transformer", "Pooling",
            "Normalize")``; empty for a folder that sentence-transformers has not written.
        pooling: ``mean``, ``cls``, ``lasttoken``, ..., several joined by ``+``; ``None`` if the folder does not say.
        normalize: Whether vectors are L2-normalised.
        max_length: Tokens after which a text is cut, or ``None`` if the folder does not say.
        lower_case: Whether texts are lower-cased before the tokenizer.
        similarity: ``cosine`` or ``dot``.
        prompts: The model's own prompts, or ``None``.
        config: The content of ``config.json``.
        kind: What the model is, by the name of its class in sentence-transformers: ``SentenceTransformer``, ``SparseEncoder``,
            ``MultiVectorEncoder`` or ``CrossEncoder``.
    """

    path: Path
    modules: tuple[str, ...]
    pooling: str | None
    normalize: bool
    max_length: int | None
    lower_case: bool
    similarity: str
    prompts: Prompts | None
    config: Mapping[str, Any]
    kind: str


def read_folder(path: Path) -> ModelFolder:
    """Read a model's folder.

    Raises:
        EngineError: If a file is there and can't be understood.
    """
    modules = {module["type"].rpartition(".")[2]: module["path"] for module in _read(path / "modules.json", default=[])}
    pooling = _read(path / modules["Pooling"] / "config.json") if "Pooling" in modules else {}
    transformer = path / modules.get("Transformer", "")
    bert = _read(transformer / "sentence_bert_config.json")
    config = _read(transformer / "config.json")
    tokenizer = _read(transformer / "tokenizer_config.json")
    own = _read(path / "config_sentence_transformers.json")
    limits = map(limit_of, (config.get("max_position_embeddings"), tokenizer.get("model_max_length")))
    known = [limit for limit in limits if limit]
    return ModelFolder(
        path=path,
        modules=tuple(modules),
        pooling=_pooling(pooling) if pooling else None,
        normalize="Normalize" in modules,
        max_length=limit_of(bert.get("max_seq_length")) or (min(known) if known else None),
        lower_case=bool(bert.get("do_lower_case")),
        similarity="dot" if str(own.get("similarity_fn_name")).startswith("dot") else "cosine",
        prompts=declared_prompts(own.get("prompts") or {}, own.get("default_prompt_name")),
        config=config,
        kind=own.get("model_type") or (DENSE if modules else _kind_of(config)),
    )


def dense_folder(spec: Spec, model: str = "") -> ModelFolder | None:
    """The folder of a spec's model (or of ``model``), if it lies on this machine.

    Raises:
        EngineError: If the model is no dense encoder.
    """
    path = find_folder(model or spec.model, spec.revision)
    folder = read_folder(path) if path else None
    if folder:
        require_dense(folder, spec)
    return folder


def require_dense(folder: ModelFolder, spec: Spec) -> None:
    """Refuse a model that is no dense encoder: loaded as one, it gives vectors and scores that mean nothing.

    Raises:
        EngineError: Saying what it is.
    """
    if folder.kind != DENSE:
        raise EngineError(
            f"The model of the spec '{spec}' is a {folder.kind}{_KINDS.get(folder.kind, '')}, not a dense encoder, which gives one vector a text. "
            "Choose an embedding model; a reranker can stand behind one in a retriever of your own (the fixture retriever)."
        )


def _kind_of(config: Mapping[str, Any]) -> str:
    """Of a folder that sentence-transformers has not written, by the class that it was saved from."""
    saved_from = config.get("architectures") or []
    return "CrossEncoder" if any(str(one).endswith("ForSequenceClassification") for one in saved_from) else DENSE


def find_folder(model: str, revision: str | None = None) -> Path | None:
    """Where a model's files lie on this machine: the folder itself, or its place in the Hub's cache."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None


def limit_of(length: float | None) -> int | None:
    """The maximum length of a text in tokens; ``None`` where the number says that there is none."""
    return int(length) if length and length < _NO_LIMIT else None


def similarity_of(name: object, spec: Spec) -> str:
    """``cosine`` or ``dot``, by sentence-transformers' ``similarity_fn_name``.

    Raises:
        EngineError: If the model is compared by something else.
    """
    similarity = str(name or "cosine")
    if similarity in {"cosine", "dot"}:
        return similarity
    raise EngineError(
        f"The model of the spec '{spec}' compares vectors by {similarity} distance (similarity_fn_name in config_sentence_transformers.json), "
        "and scores are computed by cosine or dot product here. If its vectors have length 1, cosine gives the same order as euclidean: write it there."
    )


def weights_digest(path: Path) -> str:
    """SHA-256 (hex) over all that a model is loaded from: its folder, and what the folder names elsewhere.

    Raises:
        EngineError: If something that it names is not on this machine.
    """
    digests = [folder_digest(path)]
    for name in dict.fromkeys(_elsewhere(path)):
        other = find_folder(name)
        if other is None:
            raise EngineError(f"The model in {path} is loaded with {name}, which is not on this machine. Fetch it.")
        digests.append(weights_digest(other))
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


def _elsewhere(path: Path) -> Iterator[str]:
    """Folders and names on the Hub: of the model that an adapter changes, of code, of modules that lie outside."""
    parts = [path, *(path / module["path"] for module in _read(path / "modules.json", default=[]) if module["path"])]
    for part in parts:
        if not Path(normpath(part)).is_relative_to(normpath(path)):
            yield normpath(part)
        if base := _read(part / "adapter_config.json").get("base_model_name_or_path"):
            yield base
        for code in (_read(part / "config.json").get("auto_map") or {}).values():
            yield from (
                one.partition("--")[0] for one in ([code] if isinstance(code, str) else code) if one and "--" in one
            )


def declared_prompts(prompts: Mapping[str, str | None], default: str | None) -> Prompts | None:
    """Prompts of a ``config_sentence_transformers.json``, under our names for the kinds of text."""
    declared = {name: text for name, text in prompts.items() if text}
    document = next((declared[name] for name in ("document", "passage", "corpus") if name in declared), None)
    if document:
        declared["document"] = document
    if default in declared:
        declared["symmetric"] = declared[default]
    return Prompts("model", declared) if declared else None


def _pooling(config: Mapping[str, Any]) -> str:
    mode = config.get("pooling_mode") or [name for key, name in _OLD_POOLING.items() if config.get(key)] or "mean"
    return mode if isinstance(mode, str) else "+".join(mode)


def _read(path: Path, default: Any = None) -> Any:  # noqa: ANN401  JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {} if default is None else default
    except (OSError, ValueError) as error:
        raise EngineError(f"{path} can't be read: {error}. Fetch the model again.") from error
