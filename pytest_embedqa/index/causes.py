"""Why an index loses neighbours: what it returned is compared with what exact search finds under another assumption."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.result import IndexResult, State

# Share of the neighbours under another assumption that must have come back, more than of the right ones, to be a cause.
_CLEARLY = 0.1
_QUERIES = 50


def find_causes(result: IndexResult) -> list[str]:
    """Return why the index lost neighbours in its worst state, the clearest cause first."""
    state = min(result.states, key=lambda one: one.recall)
    causes = [*_slipped(result.states[0], state)]
    if not causes:
        found = sorted(_tried(result.data, state), reverse=True)
        causes = [
            f"{what}: {share:.2f} of these neighbours came back, and {mine:.2f} of the model's."
            for share, mine, what in found[:1]
        ]
    if state.short:
        lost = float(np.maximum(0, state.wanted - state.found).sum() / (state.wanted * len(state.found)))
        if not causes and 1 - state.recall - lost > lost:  # others than the nearest came back: the greater part
            causes.append(no_other(result))
        causes.append(f"too few documents came back: {lost:.2f} of all that were asked for are missing.")
    return causes or [no_other(result)]


def no_other(result: IndexResult) -> str:
    """Return the cause where no assumption explains what was lost."""
    by = f" ({', '.join(result.widths)})" if result.widths else ""
    return (
        f"the index, not the model: exact search over the same vectors finds all {result.k}. Search wider{by}, build finer or store "
        "vectors less coarsely, at the cost of time or room."
    )


def _slipped(first: State, state: State) -> Iterator[str]:
    """Say so where stored vectors came back under their own ids when the index was built, and no longer do."""
    if first.own is not None and state.own is not None and state.own < first.own / 2:
        yield (
            f"ids slip: of stored vectors {first.own:.2f} came back under their own ids at first, and {state.own:.2f} {state.name}. "
            "Removed rows shift the ids of others, or rows that are there can no longer be reached."
        )


def _tried(data: Data, state: State) -> Iterator[tuple[float, float, str]]:
    """Yield assumptions whose neighbours came back clearly more often than the model's, with both shares."""
    mine = float(state.recalls[:_QUERIES].mean())
    for what, similarities in _assumptions(data):
        share = _share(similarities, state)
        if share > mine + _CLEARLY:
            yield share, mine, what
    for step in (-1, 1):
        moved = [[row + step for row in rows if 0 <= row + step < len(data.ids)] for rows in state.rows]
        share = float(state.exact.recalls(moved).mean())
        if share > state.recall + _CLEARLY:
            what = f"ids are off by one: each stands for the document {'before' if step < 0 else 'after'} its own"
            yield share, state.recall, what


def _assumptions(data: Data) -> Iterator[tuple[str, Floats]]:
    """Yield similarities of the first queries with all documents under other assumptions than the model's."""
    queries, documents = data.queries[:_QUERIES], data.vectors
    dots = queries @ documents.T
    by = {
        "cosine": data.comparable(queries, "cosine") @ data.comparable(documents, "cosine").T,
        "L2 distance": 2 * dots - np.square(documents).sum(axis=1),
        "dot product": dots,
    }
    mine = "dot product" if data.similarity == "dot" else "cosine"
    for name, similarities in by.items():
        if name != mine:
            yield f"the index ranks by {name}, the model by {mine}", similarities
    dim = queries.shape[1]
    for part in (dim // 2, dim // 4):
        if part:
            cut = data.comparable(queries[:, :part]) @ data.comparable(documents[:, :part]).T
            yield f"the index holds the first {part} of {dim} dimensions", cut


def _share(similarities: Floats, state: State) -> float:
    """Return the share of the nearest under other similarities that came back."""
    k, exact = state.wanted, state.exact
    own = exact.data.own_rows[: len(similarities)]
    similarities[own >= 0, own[own >= 0]] = -np.inf
    if exact.among is not None:
        similarities[:, ~exact.among] = -np.inf
    best = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    return float(
        np.mean([len(set(rows) & set(some)) / k for rows, some in zip(best.tolist(), state.rows, strict=False)])
    )
