"""The facts in a model's folder: the files that sentence-transformers writes, read without loading a model.

Engines other than sentence-transformers read pooling, normalisation, maximum length and prompts from here, so that
they do with a model what sentence-transformers would do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.digest import folder_digest
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.encoders.model_kind import DENSE, described, kind_of
from pytest_embedqa.encoders.prompts import Prompts, declared_prompts
from pytest_embedqa.encoders.spec import Spec

# Keys of older files, a truth value for each kind of pooling.
_OLD_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_OWN = "config_sentence_transformers.json"
_NEVER_FIRST = {"Pooling", "Dense", "Normalize", "LayerNorm", "Dropout"}
# The first file that is not empty counts, as in sentence-transformers.
_TRANSFORMER_FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# sentence-transformers takes any other name for cosine.
_SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
# Models without a limit have a number above this: 1e30 in a tokenizer, infinity in static models.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Module:
    """A module of sentence-transformers, as a folder lists it.

    Attributes:
        name: Class name, e.g. ``Pooling``; with the package in front if it is not sentence-transformers' own.
        path: Folder of its files.
        config: The content of its ``config.json``; for a ``Transformer``, of its ``sentence_bert_config.json``.
        arguments: Names of the arguments that ``encode`` must hand to it beside the text, e.g. ``("task",)``.
    """

    name: str
    path: Path
    config: Mapping[str, Any]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFolder:
    """The facts in a model's folder that decide its vectors, weights aside.

    Attributes:
        path: The folder.
        chain: Modules of sentence-transformers in order; empty for a folder that sentence-transformers has not written.
        transformer: Folder of the transformer and its tokenizer: the folder itself, or a folder in it.
        pooling: ``mean``, ``cls``, ``lasttoken``, ..., several joined by ``+``; ``None`` if the folder does not say.
        include_prompt: Whether the tokens of a prompt take part in pooling.
        normalize: Whether vectors are L2-normalised.
        truncate_dim: Dimensions that are kept of a vector, which is not normalised again; ``None`` for all.
        max_length: Tokens after which a text is cut, or ``None`` if the folder does not say.
        lower_case: Whether texts are lower-cased before the tokenizer.
        similarity: ``cosine``, ``dot``, ``euclidean`` or ``manhattan``.
        prompts: The model's own prompts, or ``None``.
        config: The content of ``config.json``.
        kind: The class that the model belongs to in sentence-transformers: ``SentenceTransformer``, ``SparseEncoder``,
            ``MultiVectorEncoder`` or ``CrossEncoder``.
        says_kind: Whether the folder says so; otherwise ``kind`` is a guess, which a spec's ``kind=`` may correct.
    """

    path: Path
    chain: tuple[Module, ...]
    transformer: Path
    pooling: str | None
    include_prompt: bool
    normalize: bool
    truncate_dim: int | None
    max_length: int | None
    lower_case: bool
    similarity: str
    prompts: Prompts | None
    config: Mapping[str, Any]
    kind: str
    says_kind: bool

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules in order, e.g. ``("Transformer", "Pooling", "Normalize")``."""
        return tuple(module.name for module in self.chain)


def read_folder(path: Path) -> ModelFolder:
    """Read a model's folder.

    Raises:
        EngineError: If a file can't be understood, or a file is missing that another file refers to.
    """
    chain = tuple(_module(path, entry) for entry in _read(path / "modules.json", default=[]))
    if chain and chain[0].name in _NEVER_FIRST:
        raise EngineError(
            f"{path / 'modules.json'} begins with the module {chain[0].name}, which needs the output of another module, such as a Transformer. Fetch the model again."
        )
    first = {module.name: module for module in reversed(chain)}
    pooling = first["Pooling"].config if "Pooling" in first else None
    transformer = first["Transformer"].path if "Transformer" in first else path
    bert = first["Transformer"].config if "Transformer" in first else _transformer_config(path)
    config = _read(transformer / "config.json")
    own = _read(path / _OWN)
    similarity = own.get("similarity_fn_name")
    kind, says_kind = kind_of(path, own.get("model_type"), tuple(module.name for module in chain), config)
    return ModelFolder(
        path=path,
        chain=chain,
        transformer=transformer,
        pooling=None if pooling is None else _pooling(pooling),
        include_prompt=pooling is None or pooling.get("include_prompt") is not False,
        normalize=[module.name for module in chain][-1:] == ["Normalize"],
        truncate_dim=own.get("truncate_dim"),
        max_length=_max_length(bert, config, _read(transformer / "tokenizer_config.json")),
        lower_case=bool(bert.get("do_lower_case")),
        similarity=similarity if similarity in _SIMILARITIES else "cosine",
        prompts=_prompts(path / _OWN, own),
        config=config,
        kind=kind,
        says_kind=says_kind,
    )


def require_dense(folder: ModelFolder, spec: Spec) -> None:
    """Refuse a model that is not a dense encoder: loaded as such, it gives vectors and scores that mean nothing.

    Raises:
        EngineError: If it is not; the text says what it is.
    """
    if folder.kind != DENSE:
        raise EngineError(
            f"The model of the spec '{spec}' is a {described(folder.kind)}, not a dense encoder, which gives one vector a text: "
            f"that is all that '{spec.engine}' computes. The engine st evaluates each kind of model as what it is:  st:FOLDER"
        )


def find_folder(model: str, revision: str | None = None, *, fetch: Sequence[str] = ()) -> Path | None:
    """Return the folder of a model's files on this machine: the given folder, or a folder in the Hub's cache.

    Args:
        model: A folder, or a name on the Hub.
        revision: Commit or tag on the Hub.
        fetch: Patterns of files to download first where the Hub can be reached.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    for here in (False, True) if fetch and hub_is_reachable() else (True,):
        with contextlib.suppress(OSError, ValueError):
            wanted = None if here else list(fetch)
            return Path(snapshot_download(model, revision=revision, local_files_only=here, allow_patterns=wanted))
    return None


def limit_of(length: float | None) -> int | None:
    """Return the maximum length of a text in tokens; ``None`` where the number stands for no limit."""
    return int(length) if length and length < _NO_LIMIT else None


def similarity_of(name: object, spec: Spec) -> str:
    """Return ``cosine`` or ``dot``, by sentence-transformers' ``similarity_fn_name``.

    Raises:
        EngineError: If the model uses another similarity.
    """
    similarity = str(name or "cosine")
    if similarity in {"cosine", "dot"}:
        return similarity
    raise EngineError(
        f"The model of the spec '{spec}' compares vectors by {similarity} distance (similarity_fn_name in config_sentence_transformers.json), "
        "and scores are computed by cosine or dot product here. If its vectors have length 1, cosine gives the same order as euclidean: write it there."
    )


def truncation_facts(dim: int | None, *, normalised: bool) -> dict[str, str]:
    """Return the facts of an identity about a folder's own ``truncate_dim``: the vectors before the cut matter too."""
    return {"truncate_dim": f"{dim} of {'normalised' if normalised else 'whole'} vectors"} if dim else {}


def settings_files(folder: ModelFolder) -> list[Path]:
    """Return the files of a folder that say how vectors are made, weights aside."""
    return sorted({file for part in (folder.path, *(one.path for one in folder.chain)) for file in part.glob("*.json")})


def weights_digest(path: Path) -> str:
    """Return the SHA-256 (hex) over everything a model is loaded from: its folder, and places that the folder names.

    Raises:
        EngineError: If such a place is not on this machine.
    """
    digests = [folder_digest(path)]
    for name in dict.fromkeys(_elsewhere(path)):
        other = find_folder(name)
        if other is None:
            raise EngineError(f"The model in {path} is loaded with {name}, which is not on this machine. Fetch it.")
        digests.append(weights_digest(other))
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


def _elsewhere(path: Path) -> Iterator[str]:
    """Yield folders and Hub names that a model's folder refers to: an adapter's base model, code, outside modules."""
    parts = [path, *(path / module["path"] for module in _read(path / "modules.json", default=[]) if module["path"])]
    for part in parts:
        if not Path(normpath(part)).is_relative_to(normpath(path)):
            yield normpath(part)
        if base := _read(part / "adapter_config.json").get("base_model_name_or_path"):
            yield base
        if tokenizer := _read(part / "sentence_bert_config.json").get("tokenizer_name_or_path"):
            yield tokenizer
        for code in (_read(part / "config.json").get("auto_map") or {}).values():
            yield from (
                one.partition("--")[0] for one in ([code] if isinstance(code, str) else code) if one and "--" in one
            )


def _module(path: Path, entry: Any) -> Module:  # JSON
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("type", "path")):
        raise EngineError(f"{path / 'modules.json'} lists a module without type and path. Fetch the model again.")
    package, _, name = entry["type"].rpartition(".")
    place = path / entry["path"]
    if name in ("Pooling", "Dense") and not (place / "config.json").is_file():
        raise EngineError(
            f"{path / 'modules.json'} has the module {name}, but {place / 'config.json'} is missing. Fetch the model again."
        )
    return Module(
        name=name if package.partition(".")[0] == "sentence_transformers" else entry["type"],
        path=place,
        config=_transformer_config(place) if name == "Transformer" else _read(place / "config.json"),
        arguments=tuple(entry.get("kwargs") or ()),
    )


def _transformer_config(path: Path) -> dict[str, Any]:
    none: tuple[str, dict[str, Any]] = ("", {})
    name, found = next(((name, found) for name in _TRANSFORMER_FILES if (found := _read(path / name))), none)
    length = found.get("max_seq_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int | float) or not length > 0):
        raise EngineError(
            f"{path / name} has the max_seq_length {length!r:.40}, and a number of tokens above 0 is expected. Fetch the model again."
        )
    return found


def _prompts(path: Path, own: Mapping[str, Any]) -> Prompts | None:
    prompts, default = own.get("prompts") or {}, own.get("default_prompt_name")
    texts = [*prompts.values(), default] if isinstance(prompts, dict) else [prompts]
    if not all(isinstance(text, str | None) for text in texts):
        raise EngineError(f"{path} has prompts that do not map names to texts: {prompts!r:.80}. Fetch the model again.")
    return declared_prompts(prompts, default)


def _pooling(config: Mapping[str, Any]) -> str:
    mode = config.get("pooling_mode") or [name for key, name in _OLD_POOLING.items() if config.get(key)] or "mean"
    return mode if isinstance(mode, str) else "+".join(mode)


def _max_length(bert: Mapping[str, Any], config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> int | None:
    """Return sentence-transformers' limit: the number in its own file, else the smaller of model and tokenizer."""
    arguments = bert.get("processor_kwargs") or bert.get("tokenizer_args") or {}
    told = limit_of(arguments.get("model_max_length") or bert.get("max_seq_length"))
    limits = map(limit_of, (config.get("max_position_embeddings"), tokenizer.get("model_max_length")))
    return told or min((limit for limit in limits if limit and limit > 0), default=None)


def _read(path: Path, default: Any = None) -> Any:  # JSON
    """Return the JSON of a file, of the type of ``default`` (an empty object), or ``default`` if there is no file."""
    default = {} if default is None else default
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{path} can't be read: {error}. Fetch the model again.") from error
    if not isinstance(content, type(default)):
        raise EngineError(
            f"{path} holds a {type(content).__name__}, not a {type(default).__name__}. Fetch the model again."
        )
    return content
