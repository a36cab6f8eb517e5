"""Checks that transformers loaded a model whole: it fills missing weights with random numbers, and only logs that."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.digest import file_digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# No embedding needs a pooler's weights (sentence-transformers pools tokens itself); positions are counted, not learned.
_UNUSED = re.compile(r"(^|\.)pooler\.|position_ids$|rotary_emb\.inv_freq$")
# The identity has their versions.
_LIBRARIES = {"sentence_transformers", "transformers", "torch"}
# Settings by which a model's own files ask for more than to be read.
_ORDERS = ("allow_all_kernels", "kernel_config", "use_kernels")
# Number of names that a message shows.
_SHOWN = 4


@contextlib.contextmanager
def loaded_whole(spec: object) -> Iterator[list[str]]:
    """Load models of transformers inside this context, and refuse those that are not whole.

    Yields:
        Names of missing weights that most embeddings do not need; ``require_read`` looks at them.

    Raises:
        EngineError: If weights are missing, so that random numbers would replace them, or if weights belong to
            parts of the model that it was not built with. Heads that no embedding needs may be present or missing.
    """
    unfilled: list[str] = []

    def whole(load: Callable[..., Any], named: dict[str, Any]) -> Any:
        if named.pop("output_loading_info", False):
            return load(output_loading_info=True, **named)
        # Mismatched shapes are then in the report, with their names.
        model, report = load(output_loading_info=True, **{"ignore_mismatched_sizes": True, **named})
        require_whole(model, report, spec)
        unfilled.extend(map(str, report["missing_keys"]))
        return model

    with loaded_as_data(spec, whole):
        yield unfilled


@contextlib.contextmanager
def loaded_as_data(
    spec: object, how: Callable[[Callable[..., Any], dict[str, Any]], Any] = lambda load, named: load(**named)
) -> Iterator[None]:
    """Load models of transformers inside this context: one whose files ask for more than to be read is an error.

    Args:
        spec: The model, for the error.
        how: Loads a model by a function and its arguments.

    Raises:
        EngineError: Naming what they ask for.
    """
    from transformers import PreTrainedModel  # seconds to import

    own = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(cls: type[PreTrainedModel], *given: Any, **named: Any) -> Any:
        orders = [name for name in _ORDERS if named.get(name)]
        orders += ["weights_only"] if named.get("weights_only", True) is not True else []
        orders += ["attn_implementation"] if "/" in str(named.get("attn_implementation")) else []
        if orders:
            raise EngineError(
                f"The model of the spec '{spec}' is not loaded: its sentence_bert_config.json sets {', '.join(orders)}, by which "
                "code would run, and a model's files are data. Take it out there, or choose another model."
            )
        return how(partial(own.__func__, cls, *given), named)

    PreTrainedModel.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        PreTrainedModel.from_pretrained = own


def require_whole(model: PreTrainedModel, report: Mapping[str, Iterable[Any]], spec: object) -> None:
    """Refuse a model with missing or unexpected weights, by transformers' report, unless no embedding needs them."""
    missing = _used(report["missing_keys"])
    if missing:
        raise EngineError(
            f"The weights of the spec '{spec}' lack {_shown(missing)}; transformers would put random numbers in their place. "
            "Fetch the model again, or save it again: names that torch.compile changed (_orig_mod.) do not fit, and every shard must be there."
        )
    shapes = [
        f"{name} ({list(there)}, not {list(wanted)})"
        for name, there, wanted in sorted(report["mismatched_keys"])
        if _used([name])
    ]
    if shapes:
        raise EngineError(
            f"The weights of the spec '{spec}' have other shapes than the model's config.json says: {_shown(shapes)}. "
            "Does config.json belong to these weights?"
        )
    # A model with a head has the layers of its base model as well, with or without that model's prefix.
    children = [*model.named_children(), *model.base_model.named_children()]
    parts = {name for name, part in children if any(True for _ in part.parameters())}
    prefix = f"{model.base_model_prefix}."
    left = [name for name in _used(report["unexpected_keys"]) if name.removeprefix(prefix).partition(".")[0] in parts]
    if left:
        raise EngineError(
            f"The weights of the spec '{spec}' have {_shown(left)}, which the model's config.json has no place for: it would be computed without. "
            "Does config.json belong to these weights?"
        )


def require_read(model: Any, unfilled: Iterable[str], spec: object) -> None:
    """Refuse a loaded model that uses parts its files lack: a pooler without weights, a tokenizer without words.

    Args:
        model: A model of sentence-transformers, of any kind.
        unfilled: Names of the weights that its files lack.
        spec: The model, for the error.

    Raises:
        EngineError: If there is such a part; the text names it.
    """
    takes = list(getattr(model, "modalities", ["text"]))
    if "text" not in takes:
        raise EngineError(
            f"The model of the spec '{spec}' takes {', '.join(map(str, takes))} and no text. Only text is encoded here: images, audio and "
            "video stay out. Choose a model that takes text."
        )
    poolers = [name for name in unfilled if "pooler." in name]
    # A classifier of pairs stands on the pooler.
    classifies = "sequence-classification" in str(getattr(model[0], "transformer_task", ""))
    if poolers and (classifies or "pooler_output" in str(getattr(model[0], "modality_config", ""))):
        raise EngineError(
            f"The weights of the spec '{spec}' lack {_shown(poolers)}, and the model reads its pooler's output: it would read random numbers. "
            "Fetch the model again."
        )
    tokenizer: Any = getattr(model[0], "tokenizer", None)
    if hasattr(tokenizer, "all_special_tokens") and len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise EngineError(
            f"The tokenizer of the spec '{spec}' knows no word: tokenizer.json or its vocabulary is missing. Fetch the model again."
        )


def code_facts(model: Any) -> dict[str, str]:
    """Return a digest of the files of the model's classes, if they are not of libraries that the identity names."""
    modules = {type(part).__module__ for part in model.modules()}
    files = {
        file
        for name in modules
        if name.partition(".")[0] not in _LIBRARIES and (file := getattr(sys.modules.get(name), "__file__", None))
    }
    digests = sorted(file_digest(Path(file)) for file in files)
    return {"code": sha256("".join(digests).encode()).hexdigest()[:16]} if digests else {}


def _used(names: Iterable[Any]) -> list[str]:
    return sorted(name for name in map(str, names) if not _UNUSED.search(name))


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
