"""What all clients of real indexes share."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, NotTheIndexError, SpecError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.showing import shown
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.encoders.values import Parser

# Share of the rows that a query may be compared with before the search counts as exact.
_EXHAUSTIVE = 0.9
# What clients keep until the end of the session, such as a server.
UNTIL_THE_END = ExitStack()


class Client(ABC):
    """An index of a library or a server. What it can beyond ``build`` and ``search`` it offers by the protocols.

    Attributes:
        name: Name of the client, as its project writes it.
        package: Module that must be installed.
        extra: Extra of pytest-embedqa that brings it.
        serves: Whether its index is a server's; of any other client, where a setting names an address.
        kinds: Types of index, in the client's words, the default first; empty where the client takes a text of its own.
        build_settings: Parsers of settings that an index is built with, under the client's own names.
        search_settings: Parsers of settings of a search.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str]
    serves: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ()
    build_settings: ClassVar[Mapping[str, Parser]] = {}
    search_settings: ClassVar[Mapping[str, Parser]] = {}

    def __init__(self, kind: str, settings: Mapping[str, Any], similarity: str) -> None:
        """Keep the settings; nothing is opened before ``build``.

        Args:
            kind: Type of the index.
            settings: Parsed settings.
            similarity: The way in which the model compares, ``cosine`` or ``dot``, for a client whose metric must be named.

        Raises:
            MissingExtraError: If its package is not installed.
        """
        if find_spec(self.package) is None:
            raise MissingExtraError(self.package, self.extra, f"The index '{self.extra}'")
        self.kind = kind
        self.settings = dict(settings)
        self.similarity = similarity
        self.held = ExitStack()

    @classmethod
    def read_kind(cls, kind: str, text: str) -> str:
        """Return the type of index that a spec names, or the default.

        Raises:
            SpecError: If the client has no such type.
        """
        if kind and kind not in cls.kinds:
            raise SpecError(
                f"index='{text}': there is no type '{kind}'.{nearest(kind, list(cls.kinds))} It has: {', '.join(cls.kinds)}."
            )
        return kind or cls.kinds[0]

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:  # noqa: ARG003  most have the same for all types
        """Return the parsers of all settings of a type of index."""
        return {**cls.build_settings, **cls.search_settings}

    @classmethod
    def lacks(cls, kind: str) -> Mapping[str, str]:  # noqa: ARG003  most can do the same with all types
        """Return methods that the client has, and this type of index lacks, each with the reason."""
        return {}

    def start(self) -> None:
        """Import its package, and start what takes time only once: neither is a part of building."""
        import_module(self.package)

    @abstractmethod
    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Index vectors, as ``VectorIndex.build``."""

    @abstractmethod
    def search(self, queries: Floats, k: int) -> Hits:
        """Search, as ``VectorIndex.search``."""

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of these settings that the user gave: for all others the client has its own defaults."""
        return {name: self.settings[name] for name in names if name in self.settings}

    def require_partial(self, compared: float, count: int) -> None:
        """Refuse a search that compares a query with about all rows: with few rows every index is exact.

        Raises:
            NotTheIndexError: If it does.
        """
        if compared >= _EXHAUSTIVE * count:
            raise NotTheIndexError(
                f"{self.name} compares each query with {compared:,.0f} of {count:,} rows: exact search, not the index. "
                "Take as many rows as production has, by rows=, or search less widely."
            )

    def require_effect(self, name: str, k: int) -> None:
        """Refuse the width of a search that the number of neighbours overrides.

        Raises:
            NotTheIndexError: If the setting was given and is less than ``k``.
        """
        if self.settings.get(name, k) < k:
            raise NotTheIndexError(
                f"{self.name}: {name}={self.settings[name]} has no effect where {k} rows are asked for: it searches as with {name}={k}. Leave it out, or take more than {k}."
            )

    def raised(self) -> tuple[type[Exception], ...]:
        """Return the exceptions of its package."""
        return RuntimeError, ValueError

    def words_of(self, error: Any) -> str:  # an exception of its package, with what that adds
        """Return what an exception says, without what is no user's business."""
        return str(error)

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Say in one error what the client could not do, and why.

        Raises:
            IndexFaultError: For an exception of its package.
        """
        try:
            yield
        except self.raised() as error:
            raise IndexFaultError(f"{self.name} can't {what}: {self.words_of(error)}") from None

    def close(self) -> None:
        """Free what it holds: folders, connections, collections on a server."""
        self.held.close()


class TableClient(Client):
    """An index of a table, whose rows have a column for the slot."""

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Index vectors, all in slot 0."""
        self.build_with_slots(vectors, ids, [0] * len(ids))

    @abstractmethod
    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Index vectors, as ``Filtered.build_with_slots``."""


def remove_from_server(what: str, call: Callable[[], object]) -> None:
    """Remove something from a server; warn where that fails, so that the error that came before is the one that is told."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  each client raises its own
        warnings.warn(shown(f"{what} could not be removed from its server: {error}"), stacklevel=2)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
