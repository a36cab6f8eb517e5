"""What each stage of a reranking lost, and what mteb would have made of the same lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mteb._evaluators.retrieval_evaluator import RetrievalEvaluator
from mteb._evaluators.retrieval_metrics import make_score_dict
from mteb.abstasks import AbsTaskRetrieval
from mteb.timing import TimingStack

from pytest_embedqa.core.evidence import Exhibit
from pytest_embedqa.encoders.composites import Composite, Hybrid, Rerank
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.mteb.model import Found
from pytest_embedqa.quality.mteb.searchers import HybridModel, RerankModel, WordSearch, word_searches
from pytest_embedqa.quality.mteb.tasks import rows_of
from pytest_embedqa.quality.task import Part, Stages

# A difference that four digits show.
_SEEN = 5e-5


def main_score_of(task: AbsTaskRetrieval, found: Mapping[Part, Found]) -> float | None:
    """Return the main score of rankings by split and subset; ``None`` where the task computes it in a way of its own."""
    values = []
    for part, results in found.items():
        rows = rows_of(task, *part)
        evaluator = RetrievalEvaluator(
            rows["corpus"],
            rows["queries"],
            task_metadata=task.metadata,
            hf_split=part[0],
            hf_subset=part[1],
            top_k=max(task.k_values),
            timer=TimingStack(),
        )
        _, ndcg, mean_average_precision, recall, precision, naucs, mrr, naucs_mrr, hit_rate = evaluator.evaluate(
            rows["relevant_docs"],
            {query: dict(scores) for query, scores in results.items()},
            task.k_values,
            ignore_identical_ids=task.ignore_identical_ids,
            skip_first_result=task.skip_first_result,
        )
        scores = make_score_dict(
            ndcg=ndcg,
            _map=mean_average_precision,
            recall=recall,
            precision=precision,
            mrr=mrr,
            naucs=naucs,
            naucs_mrr=naucs_mrr,
            hit_rate=hit_rate,
            task_scores={},
        )
        if task.metadata.main_score not in scores:
            return None
        values.append(scores[task.metadata.main_score])
    return float(np.mean(values)) if values else None


def stages_of(task: AbsTaskRetrieval, system: Rerank, model: RerankModel, exhibits: Mapping[Part, Exhibit]) -> Stages:
    """Tell apart what the first stage of a reranking lost from what the reranker lost.

    Args:
        task: The evaluated task.
        system: The system.
        model: The model that has ranked.
        exhibits: The final rankings, by split and subset.
    """
    ideal: dict[Part, Found] = {}
    recalls, missed, lower, higher = [], 0, 0, 0
    for part, candidates in model.candidates.items():
        judged, shown = rows_of(task, *part)["relevant_docs"], exhibits[part]
        ideal[part] = {}
        for query, documents in candidates.items():
            if query not in shown.rankings:
                continue  # it has no relevant document
            grades = {document: float(judged[query].get(document, 0)) for document in documents}
            ideal[part][query] = grades
            relevant = set(shown.relevant[query])
            recalls.append(len(relevant & set(documents)) / len(relevant) if relevant else 0.0)
            itself = query if task.ignore_identical_ids else None  # the task takes it out of the ranking
            before, after = (
                _first([one for one in order if one != itself], relevant)
                for order in (documents, model.reranked[part][query])
            )
            missed += before is None
            if before is not None:
                lower += after is None or after > before
                higher += after is not None and after < before
    return Stages(
        first_stage=str(system.first_stage.spec),
        reranker=str(system.reranker.spec),
        digests=(system.first_stage.identity.digest, system.reranker.identity.digest),
        top_k=system.top_k,
        queries=len(recalls),
        recall=float(np.mean(recalls)) if recalls else 0.0,
        ceiling=main_score_of(task, ideal),
        missed=missed,
        lower=lower,
        higher=higher,
        candidates=model.candidates,
    )


def notes_on(task: AbsTaskRetrieval, system: Composite, model: object, score: float) -> list[str]:
    """Return how a system fuses, its score in mteb where that is another one, and whether BM25 knows the language."""
    notes = []
    if isinstance(system, Hybrid):
        constant = f", k = {system.k} (60 in mteb and LanceDB, 2 in Qdrant)" if system.fusion == "rrf" else ""
        weights = " to ".join(f"{weight:g}" for weight in system.weights)
        depth = system.top_k or f"as many as the task asks for ({max(task.k_values):,})"
        notes.append(f"fused by {system.fusion}{constant}, weights {weights}, documents of each list: {depth}")
    if isinstance(model, HybridModel | WordSearch):
        theirs = main_score_of(task, model.theirs)
        if theirs is not None and abs(theirs - score) >= _SEEN:
            name = "HybridSearch" if isinstance(system, Hybrid) else "BM25Search"
            why = " and ".join(_otherwise(system, max(task.k_values)))
            notes.append(f"mteb's {name} gives {theirs:.4f} where this is {score:.4f}: {why}")
    for search in word_searches(model):
        found = [any(scores.values()) for results in search.theirs.values() for scores in results.values()]
        if (nothing := found.count(False)) >= len(found) / 2:
            notes.append(
                f"bm25 finds nothing for {nothing:,} of {len(found):,} queries: they share no word with any document. Words are cut by the "
                "language of the task; own data is taken for English, with spaces between words"
            )
    return list(dict.fromkeys(notes))


def _otherwise(system: System, most: int) -> Iterator[str]:
    """Yield what mteb does otherwise in a search, where the task asks for so many documents."""
    if isinstance(system, Hybrid) and system.top_k and system.top_k < most:
        yield f"it fuses {most:,} documents of each list, whatever its sub_model_top_k"
    if _goes_by_words(system):
        yield "it also ranks documents that hold no word of the query"


def _goes_by_words(system: System) -> bool:
    parts = system.parts if isinstance(system, Hybrid) else ()
    return system.kind in {"bm25", "sparse"} or any(map(_goes_by_words, parts))


def _first(documents: Sequence[str], relevant: set[str]) -> int | None:
    return next((place for place, document in enumerate(documents) if document in relevant), None)


def has_candidates(task: Any) -> bool:  # any of mteb's task classes
    """Return whether a loaded task names the documents to rank for each query."""
    return any(
        rows_of(task, split, subset).get("top_ranked") is not None
        for split in task.eval_splits
        for subset in task.hf_subsets
    )
