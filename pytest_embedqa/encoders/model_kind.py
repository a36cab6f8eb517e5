"""The kind of a model that sentence-transformers has not recorded: an encoder, a reranker, or something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DENSE = "SentenceTransformer"
# Parts of the names of a model and of the class it was saved from.
_KIND_OF_CLASS = {
    r"ForSequenceClassification$|ForRanking$": "CrossEncoder",
    r"^HF_ColBERT$|^ColBERT": "MultiVectorEncoder",
}
RERANKER = re.compile(r"(?i)re-?rank|cross-?encoder")
_CARD_OF_RERANKER = re.compile(r"\A---\s.*?^pipeline_tag:\s*['\"]?text-ranking\b.*?^---", re.MULTILINE | re.DOTALL)


def kind_of(path: Path, config: Mapping[str, Any]) -> str:
    """Return the kind of a model, by the class it was saved from, its card and its name.

    A reranker may be a language model by its class (Qwen3-Reranker): only card and name tell what it was trained for.

    Args:
        path: Folder of the model.
        config: The content of the model's ``config.json``.

    Returns:
        Name of a class of sentence-transformers.
    """
    for saved_from in config.get("architectures") or []:
        for pattern, kind in _KIND_OF_CLASS.items():
            if re.search(pattern, str(saved_from)):
                return kind
    # A path in the Hub's cache is models--ORG--NAME/snapshots/COMMIT.
    name = path.parents[1].name if path.parent.name == "snapshots" else path.name
    card = path / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    return "CrossEncoder" if RERANKER.search(name) or _CARD_OF_RERANKER.search(text) else DENSE
