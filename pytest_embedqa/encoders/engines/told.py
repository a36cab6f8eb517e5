"""Models of sentence-transformers that see more than a text: its prompt apart from it, its role, or an adapter's name.

The encoder gives such a model the output of :meth:`pytest_embedqa.encoders.prompts.Prompts.tell`, and each text is
encoded as ``encode(text, prompt=..., task=...)`` of sentence-transformers does it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engine import Told, Vectors
from pytest_embedqa.encoders.prompts import apart

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def told_to(model: SentenceTransformer) -> Told:
    """Return the facts that a model needs beside a text.

    It needs prompt and role where a module takes ``task`` (adapters, a router), where queries and documents are cut at
    other lengths, where the prompt becomes a message of a chat template, and where it is left out of the pooling.
    """
    lengths = {kind: length for kind in ("query", "document") if (length := _max_length(model, kind))}
    adapters = "task" in model.get_model_kwargs()
    chat = any("message" in getattr(module, "modality_config", ()) for module in model)
    unpooled = any(getattr(module, "include_prompt", True) is False for module in model)
    expanded = any(getattr(module, "query_expansion", None) for module in model)
    return Told(adapters or chat or unpooled or expanded or bool(lengths), adapters, lengths)


def _max_length(model: SentenceTransformer, kind: str) -> int | None:
    """Return the maximum length of a kind of text where it differs from the model's own: that of its route or role."""
    routes = getattr(model[0], "sub_modules", {})
    length = routes[kind][0].max_seq_length if kind in routes else getattr(model[0], f"{kind}_length", None)
    return length if length and math.isfinite(length) and length != model.max_seq_length else None


def embed(model: SentenceTransformer, texts: Sequence[str]) -> Vectors:
    """Return the vectors of a batch, shape (n, full_dim).

    Raises:
        EngineError: If the model does not take a text's task.
    """
    vectors: dict[int, Vectors] = {}
    for places, arguments, bare in told_groups(texts):
        try:
            found = model.encode(bare, batch_size=len(bare), show_progress_bar=False, **arguments)
        except (KeyError, ValueError) as error:
            raise EngineError(
                f"The model takes no text with task={arguments.get('task')!r}: {error}\n"
                "Give its public name with name=, so that the names of its adapters are known from mteb, or wrap it with python:."
            ) from error
        vectors.update(zip(places, found, strict=True))
    return np.stack([vectors[place] for place in range(len(texts))])


def lengths(model: SentenceTransformer, texts: Sequence[str]) -> list[int]:
    """Count the tokens of each text before any cut, with those of its prompt and of a template."""
    from sentence_transformers.base.modules import Router, Transformer

    found: dict[int, int] = {}
    for places, arguments, bare in told_groups(texts):
        if isinstance(model[0], (Router, Transformer)):
            whole = {
                "common": {"truncation": False},
                "text": {"truncation": False, "max_length": None, "verbose": False},
            }
            tokens = model.preprocess(bare, processing_kwargs=whole, **arguments)
            if "attention_mask" in tokens:
                counted = tokens["attention_mask"].sum(dim=1).tolist()
            else:  # a static model has all tokens in a row, and the start of each text
                counted = np.diff([*tokens["offsets"].tolist(), len(tokens["input_ids"])]).tolist()
        else:
            joined = [arguments["prompt"] + text for text in bare]
            counted = [len(ids) for ids in model.tokenizer(joined, truncation=False, verbose=False)["input_ids"]]
        found.update(zip(places, counted, strict=True))
    return [found[place] for place in range(len(texts))]


def told_groups(texts: Sequence[str]) -> Iterator[tuple[list[int], dict[str, Any], list[str]]]:
    """Group texts by their facts: their places, the arguments ``prompt`` and ``task``, and the bare texts."""
    groups: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for place, joined in enumerate(texts):
        argument, prompt, text = apart(joined)
        groups[argument, prompt].append((place, text))
    for (argument, prompt), group in groups.items():
        # An empty prompt keeps the model's default prompt out.
        arguments = {"prompt": prompt, **({"task": argument} if argument else {})}
        yield [place for place, _ in group], arguments, [text for _, text in group]
