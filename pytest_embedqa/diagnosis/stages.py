"""The stage that loses most of a reranked score: arithmetic on what was evaluated, for which nothing has to be tried."""

from __future__ import annotations

from typing import Protocol

from pytest_embedqa.diagnosis.result import Diagnosis, LikelyCause


class Stages(Protocol):
    """The facts of a reranking: its two specs, candidates a query, queries, and the score of the best order of candidates."""

    @property
    def first_stage(self) -> str: ...  # noqa: D102
    @property
    def reranker(self) -> str: ...  # noqa: D102
    @property
    def top_k(self) -> int: ...  # noqa: D102
    @property
    def queries(self) -> int: ...  # noqa: D102


def by_stage(stages: Stages, ceiling: float, score: float, measure: str) -> Diagnosis:
    """Name the stage of a reranking that loses most, with what each loses.

    Args:
        stages: Facts of the reranking.
        ceiling: Score of the best order of the candidates.
        score: Score of the reranked candidates.
        measure: Name of the score.
    """
    of_first, of_second = 1 - ceiling, ceiling - score
    evidence = (
        f"of {1 - score:.3f} that {measure} {score:.3f} lacks, the first stage {stages.first_stage} loses {of_first:.3f} "
        f"(the best order of its {stages.top_k} candidates has {ceiling:.3f}), and the reranker {stages.reranker} loses {of_second:.3f}"
    )
    if of_first >= of_second:
        cause, lost = "the first stage loses most", of_first
        advice = (
            "Raise top_k=, or take another first_stage=: no reranker can bring back what is not among the candidates."
        )
    else:
        cause, lost = "the reranker loses most", of_second
        advice = (
            f"The answers are among the candidates. Check the reranker with  embedqa doctor '{stages.reranker}'  and its invariants: "
            "prompt or template, length, order of query and document."
        )
    return Diagnosis((LikelyCause(cause, evidence, advice, lost),), score, measure, f"{stages.queries} queries")
