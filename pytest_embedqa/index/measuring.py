"""Measure what an index returns of the neighbours that exact search finds, state by state."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError
from pytest_embedqa.core.measures import Floats, ndcg
from pytest_embedqa.core.showing import shown
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.system import System
from pytest_embedqa.index.abilities import Proven, Sized, Tuned
from pytest_embedqa.index.client import Client
from pytest_embedqa.index.data import Data, Exact, Mask
from pytest_embedqa.index.load import open_index
from pytest_embedqa.index.mark import CUT_OFF, IndexMark
from pytest_embedqa.index.result import IndexResult, Point, State
from pytest_embedqa.index.spec import IndexSpec

# Slots of rows, and the share of rows that a round of changes touches.
SLOTS, CHURNED = 1000, 0.2
_SEED = 42
_WARM_UP = 5
_FEW_QUERIES = 32
# Stored vectors that are searched for.
_STORED = 100


def measure(mark: IndexMark, data: Data, model: System) -> IndexResult:
    """Build the index of a marker, bring it into each state that is asked for, and search it.

    Raises:
        IndexFaultError: If the index returns what it was not given.
        NotTheIndexError: If the index is not what answered.
        EmbedQAError: If the index can't be built.
    """
    index = open_index(mark.index, data.similarity)
    try:
        if isinstance(index, Client):
            index.start()
        return _Measurement(mark, data, index).result(model)
    finally:
        _close(index)


def measure_answers(mark: IndexMark, data: Data, model: System, answers: Mapping[str, Sequence[str]]) -> IndexResult:
    """Compare what a retriever answered, ids by query id, with exact search.

    Raises:
        IndexFaultError: If it answered with documents that the task lacks.
    """
    measurement = _Measurement(mark, data, None)
    hits = [answers.get(query, ()) for query in data.query_ids]
    state = measurement.state("", hits, np.empty(0), data.exact(mark.k))
    note = f"{mark.name}: a retriever shows its answers alone, and not whether an index or an exact search found them."
    return IndexResult(mark.name, model, data, mark.k, (state,), None, None, notes=(*data.notes, note))


class _Measurement:
    """One index on its way through the states that a test asks for."""

    def __init__(
        self, mark: IndexMark, data: Data, index: Any
    ) -> None:  # a VectorIndex; None if it was searched elsewhere
        self.mark, self.data, self.index = mark, data, index
        self.random = np.random.default_rng(_SEED)
        self.slots = self.random.integers(0, SLOTS, len(data.ids))
        self.k = mark.k + (not data.is_own_result)
        self.there: Mask = np.ones(len(data.ids), dtype=bool)
        self.notes = list(data.notes)

    def result(self, model: System) -> IndexResult:
        """Build, search in each state, and draw the curve."""
        # An index of the user's own may normalise vectors in place, or keep the list of ids as its own.
        vectors = self.data.vectors if isinstance(self.index, Client) else self.data.vectors.copy()
        began = time.perf_counter()
        self._build(vectors, list(self.data.ids))
        build_s = time.perf_counter() - began
        self.notes.append(self._proof())
        size = self.index.size() if isinstance(self.index, Sized) else None
        states = list(self._states())
        return IndexResult(
            self.mark.name,
            model,
            self.data,
            self.mark.k,
            tuple(states),
            build_s,
            size,
            tuple(self._curve()),
            tuple(dict.fromkeys(self.notes)),
            self._widths(),
        )

    def _widths(self) -> tuple[str, ...]:
        spec = self.mark.index
        if not isinstance(spec, IndexSpec):
            return ()
        known = spec.client_class.search_settings
        return tuple(name for name in spec.client_class.settings_of(spec.kind) if name in known)

    def _build(self, vectors: Floats, ids: list[str]) -> None:
        if self.mark.filter is not None:
            self.index.build_with_slots(vectors, ids, self.slots.tolist())
        else:
            self.index.build(vectors, ids)

    def _proof(self) -> str:
        if not isinstance(self.index, Proven):
            return f"{self.mark.name}: whether the index or an exact search answers is not shown; a method proof(queries, k) would show it."
        return self.index.proof(self.data.queries[:_FEW_QUERIES].copy(), self.k)

    def _states(self) -> Iterator[State]:
        yield self._searched("")
        index = self.index
        if self.mark.filter is not None:  # before rows come and go: a row that is added again has no slot
            slot = round(self.mark.filter * SLOTS)
            yield self._searched(
                f"filter {self.mark.filter:.1%}",
                lambda queries, k: index.search_below(queries, k, slot),
                self.slots < slot,
            )
        if self.mark.delete_nearest:
            nearest = self.data.exact(self.mark.delete_nearest).rows
            gone = np.unique(nearest)
            index.remove([self.data.ids[row] for row in gone])
            self.there[gone] = False
            yield self._searched(f"after deleting the nearest {self.mark.delete_nearest}")
        if self.mark.churn:
            for _ in range(self.mark.churn):
                left = np.flatnonzero(self.there)
                rows = self.random.choice(left, max(1, int(CHURNED * len(left))), replace=False)
                ids = [self.data.ids[row] for row in rows]
                index.remove(ids)
                index.add(self.data.vectors[rows], ids)
            self.notes.append(self._proof())
            yield self._searched(f"after {self.mark.churn} rounds of changes")
        if self.mark.reopen:
            index.reopen()
            yield self._searched("reopened")

    def _searched(
        self, name: str, ask: Callable[[Floats, int], Hits] | None = None, among: Mask | None = None
    ) -> State:
        exact = self._exact(name, self.there.copy() if among is None else among)
        state = self.state(name, *self._asked(ask or self.index.search), exact)
        return replace(state, own=self._own(name)) if ask is None and self._may_slip else state

    def _exact(self, name: str, among: Mask) -> Exact:
        exact = self.data.exact(self.mark.k, among)
        if not exact.rows.shape[1]:
            raise IndexFaultError(
                f"{self.mark.name}{_when(name)}: no row is left to search. Take more rows, by rows= or another task."
            )
        return exact

    @property
    def _changes(self) -> bool:
        return bool(self.mark.delete_nearest or self.mark.churn)

    @property
    def _may_slip(self) -> bool:
        return self._changes or self.mark.reopen

    def _own(self, name: str) -> float:
        """Return the share of some stored vectors that come back under their own ids when they are searched for."""
        there = np.flatnonzero(self.there)
        rows = np.random.default_rng(_SEED).choice(there, min(_STORED, len(there)), replace=False)
        hits, _ = self._asked(self.index.search, self.data.vectors[rows])
        found = [self.data.vectors[self._rows(ids, self.there, name)] for ids in hits]
        stored = self.data.vectors[rows]
        return float(np.mean([(some == one).all(axis=1).any() for one, some in zip(stored, found, strict=True)]))

    def state(self, name: str, hits: Sequence[Sequence[str]], seconds: Floats, exact: Exact) -> State:
        """Compare what came back with exact search."""
        rows = [
            [row for row in self._rows(one, exact.among, name) if row != own][: self.mark.k]
            for one, own in zip(hits, self.data.own_rows, strict=True)
        ]
        return State(
            name,
            exact.recalls(rows),
            np.array([len(set(one)) for one in rows]),
            exact.rows.shape[1],
            seconds,
            self._ndcg(rows, exact),
            self._ndcg(exact.rows.tolist(), exact),
            exact,
            rows,
        )

    def _asked(
        self, ask: Callable[[Floats, int], Hits], queries: Floats | None = None
    ) -> tuple[list[Sequence[str]], Floats]:
        """Ask each query alone, as a user's search does, after a few to warm up."""
        queries = self.data.queries if queries is None else queries
        for row in range(min(_WARM_UP, len(queries))):
            ask(queries[row : row + 1].copy(), self.k)
        hits, seconds = [], []
        for row in range(len(queries)):
            query = queries[row : row + 1].copy()
            began = time.perf_counter()
            found = ask(query, self.k)
            seconds.append(time.perf_counter() - began)
            hits.append(self._only(found))
        return hits, np.array(seconds)

    def _only(self, found: Any) -> Sequence[str]:  # whatever a user's class returns
        """Return the ids of the only query that was asked."""
        try:
            (ids,) = found
            if not isinstance(ids, str):
                return list(ids)
        except (TypeError, ValueError):
            pass
        raise IndexFaultError(
            f"{self.mark.name} returned {found!r:.60} for one query: search() returns a list of ids for each query, in a list."
        )

    def _rows(self, ids: Sequence[Any], among: Mask | None, state: str) -> list[int]:
        """Return the rows of the ids that came back; ids that no search may return are errors."""
        place = self.data.rows_of([id_ for id_ in ids if isinstance(id_, str)])
        for id_ in ids:
            if not isinstance(id_, str) or id_ not in place:
                kind = "" if isinstance(id_, str) else f" of the type {type(id_).__name__}"
                raise IndexFaultError(
                    f"{self.mark.name}{_when(state)} returned the id {id_!r:.60}{kind}, which it was not given. search() returns ids as build() got them, str."
                )
            if among is not None and not among[place[id_]]:
                raise IndexFaultError(
                    f"{self.mark.name}{_when(state)} returned the id {id_!r:.60}: this row "
                    + ("was deleted." if not self.there[place[id_]] else "does not pass the filter.")
                )
        return [place[id_] for id_ in ids]

    def _ndcg(self, rows: Sequence[Sequence[int]], exact: Exact) -> Floats | None:
        """Return ndcg_at_10 of each query with a judged row; ``None`` if there is none, or too few documents are asked for."""
        if not exact.relevant or self.mark.k < CUT_OFF:
            return None
        values = []
        for query, found in zip(self.data.query_ids, rows, strict=True):
            if grades := exact.relevant.get(query):
                ids = [self.data.ids[row] for row in found]
                values.append(ndcg([grades.get(id_, 0.0) for id_ in ids[:CUT_OFF]], list(grades.values()), CUT_OFF))
        return np.array(values)

    def _curve(self) -> Iterator[Point]:
        """Search with each value of each setting, all others as the user gave them."""
        if not self.mark.sweep:
            return
        exact, spec = self.data.exact(self.mark.k), self.mark.index
        as_given = not self._changes
        for name, values in self.mark.sweep.items():
            if isinstance(self.index, Tuned) and name in spec.client_class.search_settings:
                with nullcontext(self.index) if as_given else self._built(spec) as index:
                    for value in values:
                        index.tune({name: value})
                        yield self._point(name, value, index, exact)
                as_given = False
            else:
                for value in values:
                    with self._built(spec.with_settings({name: value})) as index:
                        yield self._point(name, value, index, exact)

    @contextmanager
    def _built(self, spec: IndexSpec) -> Iterator[Any]:
        index = open_index(spec, self.data.similarity)
        try:
            index.build(self.data.vectors, self.data.ids)
            yield index
        finally:
            _close(index)

    def _point(self, name: str, value: Any, index: Any, exact: Exact) -> Point:
        hits, seconds = self._asked(index.search)
        state = self.state(f"with {name}={value}", hits, seconds, exact)
        if isinstance(index, Proven):
            try:
                index.proof(self.data.queries[:_FEW_QUERIES], self.k)
            except NotTheIndexError as error:
                self.notes.append(f"the curve with {name}={value}: {error}")
        return Point(name, str(value), state.recall, state.percentile_ms(50))


def _when(state: str) -> str:
    return f" ({state})" if state else ""


def _close(index: Any) -> None:
    """Close an index; that it can't be closed is told, and hides neither figures nor an error that came before."""
    if callable(close := getattr(index, "close", None)):
        try:
            close()
        except Exception as error:  # noqa: BLE001  whatever a user's class raises
            text = f"{type(index).__name__}.close() failed: {type(error).__name__}: {error}"
            warnings.warn(shown(text), stacklevel=2)
