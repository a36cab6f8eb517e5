"""What an index may offer beyond being built and searched, each ability a protocol of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits


@runtime_checkable
class Updated(Protocol):
    """An index that can change after it was built: ``churn=``."""

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add vectors under new ids."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove the vectors of these ids."""


@runtime_checkable
class Filtered(Protocol):
    """An index that searches part of its rows: ``filter=``.

    Each row has a slot, an integer from 0 to 999 drawn at random, as a real table has a tenant or a date.
    """

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Index vectors as ``build`` does, each with its slot."""

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search as ``search`` does, among the rows whose slot is below ``slot``, by the client's own filter.

        It is asked before rows are removed or added.
        """


@runtime_checkable
class Reopened(Protocol):
    """An index that is kept: ``reopen=True``."""

    def reopen(self) -> None:
        """Close the index and open it again from where it is kept."""


@runtime_checkable
class Tuned(Protocol):
    """An index whose search can be set after it was built: ``sweep=`` builds it once for all values."""

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""


@runtime_checkable
class Proven(Protocol):
    """An index that can show that it answered, where its database may search exactly without a word."""

    def proof(self, queries: Floats, k: int) -> str:
        """Return a sentence on how it was seen that the index answers queries, and that its settings count.

        Args:
            queries: Some of the queries.
            k: Number of ids that are asked for.

        Raises:
            NotTheIndexError: If the search is exact, or a setting has no effect.
        """


@runtime_checkable
class Sized(Protocol):
    """An index that knows its size."""

    def size(self) -> int | None:
        """Return the bytes that the index takes, in memory or on disk, vectors included; ``None`` if it can't tell."""


@runtime_checkable
class Closed(Protocol):
    """An index that holds something: a file, a process, a table."""

    def close(self) -> None:
        """Free it."""
