"""``limit=``: a seeded sample of a large task, so that a gate takes minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SEED = 42
# Unjudged documents drawn for each sampled query, so that there is something to search in.
OTHER_DOCUMENTS = 20


def sample(task: Any, limit: int) -> None:  # any of mteb's task classes, loaded
    """Keep ``limit`` units of each split and subset of a loaded task, in place.

    A retrieval task keeps ``limit`` queries, every document judged for them, and 20 x ``limit``
    other documents; any other type keeps ``limit`` rows of the evaluated split. A clustering task that draws a
    share of its rows clusters ``limit`` of them, not that share of the sample. Draws are seeded, so that two
    encoders see the same sample. A smaller corpus is easier to search: scores of a sample are for
    comparing encoders with each other, never with a published score.
    """
    subsets = task.dataset if set(task.hf_subsets) & set(task.dataset) else {"": task.dataset}
    parts = [(splits, split) for splits in subsets.values() for split in task.eval_splits if split in splits]
    if any(_drawn_by_mteb(task)):
        _sample_clustering(task, parts, limit)
        return
    for splits, split in parts:
        rows = splits[split]
        if not isinstance(rows, dict):
            splits[split] = _sample_rows(rows, limit)
        elif "relevant_docs" in rows:
            splits[split] = _sample_retrieval(rows, limit)
        else:
            splits[split] = _sample_bitext(rows, limit)


def _sample_clustering(task: Any, parts: Sequence[tuple[Any, str]], limit: int) -> None:
    counts = [clustered(task, len(splits[split])) for splits, split in parts]
    if max(counts, default=0) <= limit:
        return
    for (splits, split), count in zip(parts, counts, strict=True):
        splits[split] = _sample_rows(splits[split], min(limit, count))
    # A share of the sample would be a few texts, and any encoder puts each of these into its own cluster.
    task.max_fraction_of_documents_to_embed = task.max_document_to_embed = None


def clustered(task: Any, count: int) -> int:
    """Return how many of ``count`` rows mteb clusters: most clustering tasks draw some of their rows."""
    share, most = _drawn_by_mteb(task)
    return min(count, most) if most is not None else count if share is None else int(share * count)


def _drawn_by_mteb(task: Any) -> tuple[float | None, int | None]:
    """Return the share of the rows that a clustering task draws, and the largest number of rows that it draws."""
    return getattr(task, "max_fraction_of_documents_to_embed", None), getattr(task, "max_document_to_embed", None)


def _draw(count: int, limit: int) -> list[int]:
    if count <= limit:
        return list(range(count))
    return sorted(np.random.default_rng(SEED).choice(count, size=limit, replace=False).tolist())


def _sample_rows(rows: Any, limit: int) -> Any:
    if len(rows) == 1 and all(isinstance(value, list) for value in rows[0].values()):
        # Older pair tasks keep all pairs in the lists of a single row.
        columns = rows[0]
        chosen = _draw(len(next(iter(columns.values()))), limit)
        return type(rows).from_dict({name: [[values[row] for row in chosen]] for name, values in columns.items()})
    return rows.select(_draw(len(rows), limit))


def _sample_bitext(rows: dict[str, Any], limit: int) -> dict[str, Any]:
    """Draw sentences, but keep all translations to search in, for tasks that name a sentence's translation (BUCC)."""
    chosen = _draw(len(rows["gold"]), limit)
    return {**rows, **{name: [rows[name][row] for row in chosen] for name in ("sentence1", "gold")}}


def _sample_retrieval(data: Any, limit: int) -> Any:
    judged = {query: documents for query, documents in data["relevant_docs"].items() if documents}
    queries = data["queries"]
    answerable = [row for row, query in enumerate(queries["id"]) if query in judged]
    queries = queries.select([answerable[index] for index in _draw(len(answerable), limit)])
    judged = {query: judged[query] for query in queries["id"]}
    top_ranked = data["top_ranked"] and {
        query: data["top_ranked"][query] for query in queries["id"] if query in data["top_ranked"]
    }
    needed = {document for documents in judged.values() for document in documents}
    needed.update(document for documents in (top_ranked or {}).values() for document in documents)
    ids = list(data["corpus"]["id"])
    rest = [row for row, document in enumerate(ids) if document not in needed]
    others = {rest[index] for index in _draw(len(rest), OTHER_DOCUMENTS * limit)}
    corpus = data["corpus"].select([row for row, document in enumerate(ids) if document in needed or row in others])
    return {**data, "queries": queries, "corpus": corpus, "relevant_docs": judged, "top_ranked": top_ranked}
