"""The agreement of two models on rankings, where their vectors can't be compared: other kinds of models, rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.measures import Floats, kendall, overlap_of_best
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.system import System
from pytest_embedqa.engine_parity.comparison import NEIGHBOURS, TASK, Agreement, Stratum, compare
from pytest_embedqa.engine_parity.texts import RANKED, ranked

if TYPE_CHECKING:
    from pytest_embedqa.engine_parity.mark import ParityMark


def agree(mark: ParityMark, model: System, reference: System) -> Agreement:
    """Compare a model with a reference: rankings, if the marker asks for Kendall's tau, and vectors otherwise.

    Raises:
        EmbedQAError: If a model fails, or they can't be compared in that way.
    """
    if not mark.ranks:
        return compare(model, reference, batch_sizes=mark.batch_sizes, only=mark.strata, max_tokens=mark.max_tokens)
    return compare_ranks(model, reference, mark.batch_sizes)


def compare_ranks(model: System, reference: System, batch_sizes: Sequence[int]) -> Agreement:
    """Rank the same documents for the same queries with both models and compare the rankings.

    The model under test ranks anew at each batch size, the reference once.

    Args:
        model: The encoder or reranker under test.
        reference: The encoder or reranker that it should agree with.
        batch_sizes: Batch sizes to try.

    Raises:
        SpecError: If one is no single model.
    """
    queries, documents = ranked()
    expected = _scores(reference, queries, documents, None)
    by_size = {size: _scores(model, queries, documents, size) for size in batch_sizes}
    taus = np.array([[kendall(*pair) for pair in zip(found, expected, strict=True)] for found in by_size.values()])
    overlaps = np.array([_overlap(found, expected) for found in by_size.values()]).mean(axis=0)
    strata = []
    for name, places in RANKED.items():
        part = taus[:, places]
        batch, worst = divmod(int(part.argmin()), len(part[0]))
        strata.append(
            Stratum(
                name=name,
                texts=len(part[0]),
                worst=float(part.min()),
                mean=float(part.mean()),
                overlap=float(overlaps[places].mean()),
                batch_size=batch_sizes[batch],
                text=queries[places][worst],
            )
        )
    return Agreement(
        strata=tuple(sorted(strata, key=lambda stratum: stratum.worst)),
        worst_by_batch_size={size: float(row.min()) for size, row in zip(batch_sizes, taus, strict=True)},
        notes=(f"rankings of {len(documents)} documents for {len(queries)} queries were compared",),
        by="kendall",
    )


def _scores(model: System, queries: Sequence[str], documents: Sequence[str], size: int | None) -> Floats:
    """Return similarities or scores of all queries with all documents, shape (queries, documents)."""
    if isinstance(model, Reranker):
        pairs = [(query, document) for query in queries for document in documents]
        return model.computing(batch_size=size).score(pairs, TASK).reshape(len(queries), len(documents))
    if isinstance(model, Encoder):
        fresh = model.computing(batch_size=size)
        return fresh.similarity(fresh.encode(queries, QUERY, TASK), fresh.encode(documents, task=TASK))
    raise SpecError(
        f"'{model.spec}' is no single model, but {model.kind}: it ranks a whole corpus. Compare the models it is made of."
    )


def _overlap(first: Floats, second: Floats) -> Floats:
    """Return the share of the ten best documents that both have in common, for each query."""
    # Scores of two models have no common scale: what counts as a tie depends on their range.
    return overlap_of_best(first, second, NEIGHBOURS, 1e-6 * float(np.ptp(second)))
