"""What a model is, where sentence-transformers has not written it down: an encoder, a reranker, or something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DENSE = "SentenceTransformer"
# Of the class that a folder was saved from, and of the model's name.
_KIND_OF_CLASS = {
    r"ForSequenceClassification$|ForRanking$": "CrossEncoder",
    r"^HF_ColBERT$|^ColBERT": "MultiVectorEncoder",
}
RERANKER = re.compile(r"(?i)re-?rank|cross-?encoder")
_CARD_OF_RERANKER = re.compile(r"\A---\s.*?^pipeline_tag:\s*['\"]?text-ranking\b.*?^---", re.MULTILINE | re.DOTALL)


def kind_of(path: Path, config: Mapping[str, Any]) -> str:
    """The kind of a model, by the class that it was saved from, its card and its name.

    A reranker may be a language model by its class (Qwen3-Reranker): card and name alone say what it was trained for.

    Args:
        path: Its folder.
        config: The content of its ``config.json``.

    Returns:
        Name of a class of sentence-transformers.
    """
    for saved_from in config.get("architectures") or []:
        for pattern, kind in _KIND_OF_CLASS.items():
            if re.search(pattern, str(saved_from)):
                return kind
    # In the Hub's cache: models--ORG--NAME/snapshots/COMMIT.
    name = path.parents[1].name if path.parent.name == "snapshots" else path.name
    card = path / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    return "CrossEncoder" if RERANKER.search(name) or _CARD_OF_RERANKER.search(text) else DENSE
