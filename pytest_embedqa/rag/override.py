"""``--embedqa-retriever``: the same probe files, searched in another way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.encoders.spec import public_spec
from pytest_embedqa.rag.allowed import Allowed
from pytest_embedqa.rag.choices import INDEXES, RETRIEVALS, HttpRetrieval, Retrieval
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.openwebui import OpenWebUISettings, parse_openwebui
from pytest_embedqa.rag.probe import ProbeFile
from pytest_embedqa.rag.reading import read_retrieval


@dataclass(frozen=True)
class Override:
    """The retrieval that replaces that of all probe files.

    Attributes:
        by: Another method of the built-in chain; each file's other settings stay.
        retrieval: Settings that replace each file's own ``retrieve``.
        service: Settings of a live system.
    """

    by: str | None = None
    retrieval: Retrieval | None = None
    service: OpenWebUISettings | HttpRetrieval | None = None

    def applied(self, file: ProbeFile) -> ProbeFile:
        """Return a probe file with this retrieval."""
        if self.by:
            retrieval = replace(file.retrieval, by=self.by)
            if self.by in {"bm25", "rerank"} and retrieval.index not in INDEXES:  # no vectors are searched
                retrieval = replace(retrieval, index=Retrieval.index)
            return replace(file, retrieval=retrieval, service=None)
        return replace(file, retrieval=self.retrieval or file.retrieval, service=self.service)


def read_override(text: str, allowed: Allowed) -> Override:
    """Parse the option.

    Args:
        text: Value of the option.
        allowed: Permissions of a file that it names.

    Raises:
        SpecError, DataError: If it names no way to search, or a file that can't be read.
    """
    if text in RETRIEVALS:
        return Override(by=text)
    if text.startswith("openwebui:"):
        return Override(service=parse_openwebui(text))
    path = Path(text).expanduser()
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        retrieval, service = read_retrieval(path)
        for problem in chain(allowed.problems_of(service), allowed.problems_of_reranker(retrieval.reranker)):
            raise DataError(f"{text}: {problem}")
        if isinstance(service, HttpRetrieval):
            _require_usable(service, text)
        return Override(retrieval=retrieval, service=service)
    if path.suffix in {".yaml", ".yml"}:
        raise SpecError(
            f"{text} does not exist, or is not a file. Name a YAML file that holds what a probe file has under retrieve:."
        )
    raise SpecError(
        f"'{public_spec(text)}' is not a retriever. Choose from: {', '.join(RETRIEVALS)}, openwebui:URL, or a YAML file that holds what a probe file has under retrieve:."
    )


def _require_usable(service: HttpRetrieval, text: str) -> None:
    """Raise SpecError now for settings of which no retriever can be made, and not with the first probe."""
    try:
        HttpRetriever(service).close()
    except SpecError as error:
        raise SpecError(f"{text}: {error}") from None
