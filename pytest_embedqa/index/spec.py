"""Specs of indexes: a string names a client, the type of its index, and settings under the client's own names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.secrets import is_secret_name, public_url
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.index.client import Client

FORM = "CLIENT[:TYPE][?setting=value&...]"
# The class of each client, as MODULE:CLASS below ``index.clients``.
CLIENTS = {
    "chroma": "chroma:ChromaIndex",
    "faiss": "faiss:FaissIndex",
    "hnswlib": "hnswlib:HnswlibIndex",
    "lancedb": "lancedb:LanceDBIndex",
    "milvus": "milvus:MilvusIndex",
    "pgvector": "pgvector:PgvectorIndex",
    "qdrant": "qdrant:QdrantIndex",
    "sqlite-vec": "sqlite_vec:SqliteVecIndex",
    "usearch": "usearch:UsearchIndex",
}
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class IndexSpec:
    """A parsed spec of an index.

    Attributes:
        text: The text that the user wrote, without secrets.
        client: Name of the client.
        kind: Type of the index in the client's words; the client's default where the text names none.
        settings: Parsed settings by the client's own names.
    """

    text: str
    client: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return the spec as the user wrote it, without secrets."""
        return self.text

    @property
    def client_class(self) -> type[Client]:
        """The class of the client; its package is imported when an index is made."""
        return client_class(self.client)

    def with_settings(self, settings: Mapping[str, Any]) -> IndexSpec:
        """Return this spec with these settings in place of its own of the same names."""
        own, every = settings.items(), {**self.settings, **settings}
        changed = ", ".join(f"{name}={value}" for name, value in own)
        return IndexSpec(f"{self.text} with {changed}", self.client, self.kind, every)


def client_class(name: str) -> type[Client]:
    """Return the class of a client."""
    module, _, attribute = CLIENTS[name].partition(":")
    found: type[Client] = getattr(import_module(f"pytest_embedqa.index.clients.{module}"), attribute)
    return found


def parse_index(text: str) -> IndexSpec:
    """Parse the spec of an index, e.g. ``faiss:HNSW32?efSearch=64``.

    Raises:
        SpecError: If it names no client, or a type or setting that the client lacks; the text lists what there is.
    """
    text, query = _public(text), text.strip().partition("?")[2]
    name, _, kind = text.partition("?")[0].partition(":")
    if not _NAME.fullmatch(name) or name not in CLIENTS:
        raise SpecError(
            f"index='{text:.100}' names no index.{nearest(name, list(CLIENTS))} The form is {FORM}; clients: {', '.join(sorted(CLIENTS))}. "
            "An index of your own is a class with build(vectors, ids) and search(queries, k)."
        )
    found = client_class(name)
    kind = found.read_kind(unquote(kind), text)
    return IndexSpec(text, name, kind, _settings(text, query, found, kind))


def _public(text: str) -> str:
    """Return a spec without the secrets in its settings: nothing shows more of it."""
    head, mark, query = text.strip().partition("?")
    return head + mark + "&".join(map(_public_pair, query.split("&")))


def _public_pair(pair: str) -> str:
    name, given, value = pair.partition("=") if "=" in pair else ("", "", pair)
    plain = unquote_plus(value)
    return (
        name
        + given
        + ("***" if is_secret_name(name) else public_url(plain) if "://" in plain or "@" in plain else value)
    )


def _settings(text: str, query: str, client: type[Client], kind: str) -> dict[str, Any]:
    parsers, settings = client.settings_of(kind), {}
    for name, raw in parse_qsl(query, keep_blank_values=True):
        if name in settings:
            raise SpecError(f"index='{text}' gives the setting '{name}' twice.")
        settings[name] = read_setting(name, raw, parsers, text)
    if query and not settings:
        raise SpecError(f"index='{text}' has '{text.partition('?')[2]}' after '?', where setting=value is expected.")
    return settings


def read_setting(name: str, raw: str, parsers: Mapping[str, Any], text: str) -> Any:  # as its parser returns
    """Parse a setting.

    Raises:
        SpecError: If the client has no such setting, or the value can't be right.
    """
    if name not in parsers:
        raise SpecError(
            f"index='{text}': there is no setting '{name}'.{nearest(name, list(parsers))} It has: {', '.join(parsers) or 'none'}."
        )
    try:
        return parsers[name](raw)
    except ValueError as error:
        raise SpecError(
            f"index='{text}': the value in {_public_pair(f'{name}={raw}'):.100} is wrong: {error}."
        ) from None
