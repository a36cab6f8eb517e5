"""Models of sentence-transformers that see more than a text: its prompt apart from it, its role, or an adapter's name.

The encoder gives such a model the output of :meth:`pytest_embedqa.encoders.prompts.Prompts.tell`, and each text is
encoded as ``encode(text, prompt=..., task=...)`` of sentence-transformers does it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engine import Told, Vectors
from pytest_embedqa.encoders.prompts import apart


def told_to(model: Any) -> Told:
    """Return the facts that a dense model needs beside a text.

    It needs prompt and role where a module takes ``task`` (adapters, a router), where queries and documents are cut at
    other lengths, where the prompt becomes a message of a chat template, and where it is left out of the pooling.
    """
    lengths = lengths_by_role(model)
    adapters = "task" in model.get_model_kwargs()
    unpooled = any(getattr(module, "include_prompt", True) is False for module in model)
    expanded = any(getattr(module, "query_expansion", None) for module in model)
    return Told(adapters or chats(model) or unpooled or expanded or bool(lengths), adapters, lengths)


def chats(model: Any) -> bool:
    """Return whether texts are messages of a chat template, of which the prompt is another."""
    return any("message" in getattr(module, "modality_config", ()) for module in model)


def lengths_by_role(model: Any) -> dict[str, int]:
    """Return the maximum length of queries and of documents where it differs from the model's own."""
    found = {}
    for role in ("query", "document"):
        length = _max_length(_reader(model, role), role)
        if length and math.isfinite(length) and length != model.max_seq_length:
            found[role] = int(length)
    return found


def _reader(model: Any, role: str | None) -> Any:
    """Return the module that reads texts of a role: the first of the model, or of the role's route."""
    routes = getattr(model[0], "sub_modules", {})
    return routes[role][0] if role in routes else model[0]


def _max_length(reader: Any, role: str) -> float | None:
    """Return the tokens after which a module cuts texts of a role, as ``Transformer.preprocess`` reckons them."""
    own: float | None = getattr(reader, f"{role}_length", None)
    expansion = getattr(reader, "query_expansion", None) if role == "query" else None
    if expansion and (expansion["strategy"] == "fixed" or own):
        own = expansion["length"] if expansion["strategy"] == "fixed" else max(own or 0, expansion["length"])
    return own or getattr(reader, "max_seq_length", None)


def embed(model: Any, texts: Sequence[str]) -> Vectors:
    """Return the vectors of a batch, shape (n, full_dim)."""
    return np.stack(encode(model, texts))


def encode(model: Any, texts: Sequence[str], **how: Any) -> list[Any]:
    """Return what a model's ``encode`` makes of each text of a batch.

    Args:
        model: The model.
        texts: Texts that :meth:`Prompts.tell` has made.
        **how: Further arguments of ``encode``.

    Raises:
        EngineError: If the model does not take a text's task.
    """
    found: dict[int, Any] = {}
    for places, arguments, bare in told_groups(texts):
        try:
            made = model.encode(bare, batch_size=len(bare), show_progress_bar=False, **arguments, **how)
        except (KeyError, ValueError) as error:
            raise EngineError(
                f"The model takes no text with task={arguments.get('task')!r}: {error}\n"
                "Give its public name with name=, so that the names of its adapters are known from mteb, or wrap it with python:."
            ) from error
        found.update(zip(places, made, strict=True))
    return [found[place] for place in range(len(texts))]


def lengths(model: Any, texts: Sequence[str]) -> list[int]:
    """Count the tokens of each text before any cut, with those of its prompt and of a template."""
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    found: dict[int, int] = {}
    for places, arguments, bare in told_groups(texts):
        reader = _reader(model, arguments.get("task"))
        if isinstance(reader, (Router, Transformer, StaticEmbedding)):
            counted = whole_lengths(reader, bare, **arguments)
        else:
            joined = [arguments["prompt"] + text for text in bare]
            # A table of words has a weight for each token of the text, and adds none.
            special = not type(reader).__name__.startswith("SparseStatic")
            tokens = reader.tokenizer(joined, truncation=False, add_special_tokens=special, verbose=False)
            counted = [len(ids) for ids in tokens["input_ids"]]
        found.update(zip(places, counted, strict=True))
    return [found[place] for place in range(len(texts))]


def whole_lengths(reader: Any, inputs: Sequence[Any], **arguments: Any) -> list[int]:
    """Count the tokens of texts, or of pairs of texts, as a model's first module makes them, without its cut."""
    whole = {
        "common": {"truncation": False},
        "text": {"truncation": False, "max_length": None, "verbose": False},
    }
    if getattr(reader, "query_expansion", None):
        arguments.pop("task", None)  # what fills a query up is no part of it
    tokens = reader.preprocess(list(inputs), processing_kwargs=whole, **arguments)
    if "attention_mask" in tokens:
        counted = tokens["attention_mask"].sum(dim=1)
    elif "cu_seq_lens_q" in tokens:  # without padding, for flash attention
        counted = np.diff(tokens["cu_seq_lens_q"].tolist())
    else:  # a static model has all tokens in a row, and the start of each text
        counted = np.diff([*tokens["offsets"].tolist(), len(tokens["input_ids"])])
    found: list[int] = counted.tolist()
    return found


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
