"""What an index returned, and the measures of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pytest_embedqa.core.evidence import Evidence, Units
from pytest_embedqa.core.statistics import interval
from pytest_embedqa.encoders.system import System
from pytest_embedqa.index.data import Data, Exact

if TYPE_CHECKING:
    from pytest_embedqa.core.measures import Floats


@dataclass(frozen=True)
class State:
    """An index as it was when all queries were asked.

    Attributes:
        name: What had been done to it; empty for an index that was just built.
        recalls: Share of each query's nearest documents that came back, shape (q,).
        found: Number of documents that came back for each query, shape (q,).
        wanted: Number that was asked for, or the number of rows if there are fewer.
        seconds: Time of each search, shape (q,); empty if it was not timed.
        ndcg: ndcg_at_10 of each judged query through the index; ``None`` where nothing is judged.
        exact_ndcg: The same by exact search.
        exact: The nearest documents.
        rows: Rows of the documents that came back, by query.
        own: Share of stored vectors that come back under their own ids; ``None`` if that was not asked.
    """

    name: str
    recalls: Floats
    found: Floats
    wanted: int
    seconds: Floats
    ndcg: Floats | None
    exact_ndcg: Floats | None
    exact: Exact
    rows: Sequence[Sequence[int]]
    own: float | None = None

    @property
    def recall(self) -> float:
        """Mean recall over the queries."""
        return float(self.recalls.mean())

    @property
    def worst_decile(self) -> float:
        """Mean recall of the tenth of the queries that fares worst."""
        count = max(1, round(len(self.recalls) / 10))
        return float(np.sort(self.recalls)[:count].mean())

    @property
    def ndcg_loss(self) -> float | None:
        """ndcg_at_10 of exact search less that through the index; ``None`` where nothing is judged."""
        if self.ndcg is None or self.exact_ndcg is None or not len(self.ndcg):
            return None
        return float(self.exact_ndcg.mean() - self.ndcg.mean())

    @property
    def short(self) -> int:
        """Number of queries for which fewer documents came back than were asked for."""
        return int((self.found < self.wanted).sum())

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the time of a search, in milliseconds."""
        return float(np.percentile(self.seconds, percent)) * 1e3


@dataclass(frozen=True)
class Point:
    """A point of a curve: one setting at one value.

    Attributes:
        setting: Name of the setting.
        value: Its value.
        recall: Mean recall.
        p50_ms: Median time of a search, in milliseconds.
    """

    setting: str
    value: str
    recall: float
    p50_ms: float


@dataclass(frozen=True)
class IndexResult:
    """The measures of an index: ``index_result["recall_at_10"]``.

    Attributes:
        index: Name of the index.
        model: The model whose vectors it holds.
        data: Documents and queries.
        k: Number of neighbours.
        states: The states in which it was searched, the one just built first.
        build_s: Seconds that building took; ``None`` for what was built elsewhere.
        size: Bytes that it takes; ``None`` if it does not say.
        curve: Points of the settings that were swept.
        notes: Facts that a reader needs to read the figures right.
        widths: Settings of its search, in the client's words.
    """

    index: str
    model: System
    data: Data
    k: int
    states: tuple[State, ...]
    build_s: float | None
    size: int | None
    curve: tuple[Point, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    widths: tuple[str, ...] = ()

    def __getitem__(self, measure: str) -> float:
        """Return a measure of the index in its last state."""
        return self.measures(self.states[-1])[measure]

    def measures(self, state: State) -> Mapping[str, float]:
        """Return all measures of a state by name."""
        measures = {
            f"recall_at_{self.k}": state.recall,
            "worst_decile": state.worst_decile,
        }
        if len(state.seconds):
            measures |= {f"p{percent}_ms": state.percentile_ms(percent) for percent in (50, 95)}
        if self.build_s is not None:
            measures["build_s"] = self.build_s
        if (loss := state.ndcg_loss) is not None:
            measures["ndcg_loss"] = loss
        if self.size is not None:
            measures["bytes_per_vector"] = self.size / len(self.data.ids)
        return measures

    @cached_property
    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """95 % interval of the recall of each state, by its name, over the queries."""
        return {
            state.name: interval(
                Evidence("mean", "queries", (Units("", "", tuple(self.data.query_ids), state.recalls),))
            )
            for state in self.states
        }
