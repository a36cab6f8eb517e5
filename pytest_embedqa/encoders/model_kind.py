"""The kind of a model: one of the four that sentence-transformers has, each with a class of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DENSE, SPARSE, MULTI_VECTOR, CROSS_ENCODER = (
    "SentenceTransformer",
    "SparseEncoder",
    "MultiVectorEncoder",
    "CrossEncoder",
)
# sentence-transformers' classes, by the names that kinds have in specs and reports.
CLASSES = {"dense": DENSE, "sparse": SPARSE, "multi-vector": MULTI_VECTOR, "reranker": CROSS_ENCODER}
_DESCRIPTIONS = {
    DENSE: " (a dense encoder, with one vector a text)",
    CROSS_ENCODER: " (a reranker, which scores pairs of texts)",
    SPARSE: " (with a weight for each word of its vocabulary)",
    MULTI_VECTOR: " (with a vector for each token)",
}
# PyLate up to 3 wrote this.
_OTHER_NAMES = {"ColBERT": MULTI_VECTOR}
# Parts of the names of a model and of the class it was saved from.
_KIND_OF_CLASS = {
    r"ForSequenceClassification$|ForRanking$": CROSS_ENCODER,
    r"^HF_ColBERT$|^ColBERT|ForRetrieval$": MULTI_VECTOR,
}
RERANKER = re.compile(r"(?i)re-?rank|cross-?encoder")
_SPLADE = re.compile(r"(?i)splade")
_CARD_OF_RERANKER = re.compile(r"\A---\s.*?^pipeline_tag:\s*['\"]?text-ranking\b.*?^---", re.MULTILINE | re.DOTALL)


def described(name: str) -> str:
    """Return the name of a class of sentence-transformers and what it gives."""
    return name + _DESCRIPTIONS.get(name, "")


def kind_of(path: Path, told: str | None, modules: tuple[str, ...], config: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the kind of a model, and whether its folder says so, or it is a guess that a spec may correct.

    A folder says it by what sentence-transformers has written, or by the class that the model was saved from. Otherwise
    a model's card and name decide: a reranker may be a language model by its class (Qwen3-Reranker), and a SPLADE model
    a masked language model. Without them it is a dense encoder.

    Args:
        path: Folder of the model.
        told: The ``model_type`` in ``config_sentence_transformers.json``.
        modules: Names of its modules.
        config: The content of the model's ``config.json``.

    Returns:
        Name of a class of sentence-transformers, and whether the folder says so.
    """
    if told:
        return _OTHER_NAMES.get(told, told), True
    if modules:
        return (MULTI_VECTOR if any(name.startswith("pylate.") for name in modules) else DENSE), True
    classes = list(map(str, config.get("architectures") or []))
    for pattern, kind in _KIND_OF_CLASS.items():
        if any(re.search(pattern, saved_from) for saved_from in classes):
            return kind, True
    # A path in the Hub's cache is models--ORG--NAME/snapshots/COMMIT.
    name = path.parents[1].name if path.parent.name == "snapshots" else path.name
    card = path / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if RERANKER.search(name) or _CARD_OF_RERANKER.search(text):
        return CROSS_ENCODER, False
    if _SPLADE.search(name) and any(one.endswith("ForMaskedLM") for one in classes):
        return SPARSE, False
    return DENSE, False
