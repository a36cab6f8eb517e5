"""The relevant documents that are lost on the way, and what lost them: the model, or the index."""

from __future__ import annotations

from pytest_embedqa.index.result import IndexResult

_SHOWN = 3


def losses(result: IndexResult) -> list[str]:
    """Return how many relevant documents model and index lost in the worst state, and some of the index's with their rank."""
    data, state = result.data, min(result.states, key=lambda one: one.recall)
    relevant, by_model, by_index = 0, 0, []
    for query, exact, rows in zip(data.query_ids, state.exact.rows.tolist(), state.rows, strict=True):
        for id_, row in data.rows_of(list(state.exact.relevant.get(query, ()))).items():
            relevant += 1
            if row not in rows and row in exact:
                by_index.append((exact.index(row) + 1, id_, query))
            elif row not in rows:
                by_model += 1
    if not relevant:
        return []
    counts = (
        f"the index loses {len(by_index):,} of the {relevant - by_model:,} relevant documents that the model finds; {by_model:,} more are not "
        f"among its nearest {result.k}."
    )
    shown = sorted(by_index)[:_SHOWN]
    return [
        counts,
        *(
            f"by the index: {id_!r:.60} is at rank {rank} by exact search for the query {query!r:.60}"
            for rank, id_, query in shown
        ),
    ]
