"""The opening of a probe file's retriever: the chain of this package, or a live system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingDataError, SpecError
from pytest_embedqa.encoders.encoder import Encoder, Progress
from pytest_embedqa.encoders.retrievers.passage import Passage, Retriever
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document, digest, read_documents, sources
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.known import require_pages, require_sources
from pytest_embedqa.rag.noise import noise_passages
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, OpenWebUISettings, uploads
from pytest_embedqa.rag.probe import ProbeFile
from pytest_embedqa.rag.retrieval import Chain, build_chain
from pytest_embedqa.rag.validation import place

BM25, OPENWEBUI, HTTP = "bm25", "openwebui", "http"


def label_of(file: ProbeFile, encoder: Encoder) -> str:
    """Return the key of ``expected_failures`` and bounds: the model, or the retriever that works without a model."""
    if file.service is not None:
        return HTTP if isinstance(file.service, HttpRetrieval) else OPENWEBUI
    no_model = file.retrieval.by == BM25 and not file.retrieval.cross_encoder
    return BM25 if no_model else encoder.name


def open_chain(file: ProbeFile, encoder: Encoder, folder: Path, noise: int = 0) -> Chain:
    """Read, cut and index a file's corpus; ``require_places`` checks whether its probes fit.

    Args:
        file: The probe file.
        encoder: Encoder of the passages; its tokenizer measures them.
        folder: An empty folder for an index on disk.
        noise: Number of passages on other subjects to add.

    Raises:
        EmbedQAError: If the corpus can't be read or is empty, or a package is missing.
    """
    notes: list[str] = []
    last_pages: dict[str, int | None] = {}
    documents = _noted(read_documents(_corpus(file), file.encoding), notes, last_pages)
    passages: Iterable[Passage] = chunked(documents, file.chunking, encoder.estimate_tokens)
    opened = build_chain(chain(passages, noise_passages(noise)), file.retrieval, encoder, folder)
    opened.notes, opened.last_pages = tuple(notes), last_pages
    return opened


def _corpus(file: ProbeFile) -> Path:
    if file.corpus is None:
        where = place(file.path, 1)
        raise DataError(f"{where}: there is no corpus, and no fixture 'retriever' of your own: add  corpus: FOLDER.")
    return file.corpus


def _noted(documents: Iterable[Document], notes: list[str], last_pages: dict[str, int | None]) -> Iterator[Document]:
    """Yield documents as they are read, and record their notes and last pages."""
    for document in documents:
        notes += document.notes
        last_pages[document.source] = len(document.pages) if document.paged else None
        yield document


def open_service(file: ProbeFile, progress: Progress | None = None) -> OpenWebUIRetriever | HttpRetriever:
    """Connect to a file's live system; OpenWebUI gets the corpus.

    Raises:
        EmbedQAError: If the system can't be used as the file asks.
    """
    if isinstance(file.service, HttpRetrieval):
        try:
            return HttpRetriever(file.service)
        except SpecError as error:
            raise SpecError(f"{place(file.path, file.lines.get('retrieve', 1))}: {error}") from None
    assert file.service is not None  # noqa: S101  only asked where there is one
    return OpenWebUIRetriever(file.service, file.corpus, progress)


def require_places(file: ProbeFile, opened: Retriever | None = None) -> None:
    """Refuse probes that name a document or page that the file's corpus lacks.

    Files share what is opened for a corpus, but each has probes of its own: call this for each of them.

    Args:
        file: The probe file.
        opened: Result of ``open_chain`` or ``open_service``; ``None`` before that: then only documents are looked up.

    Raises:
        EmbedQAError: With file and line of each such probe, or if the documents can't be listed.
    """
    service = file.service
    try:
        if isinstance(opened, Chain):
            require_pages(file, opened.last_pages)
        elif opened is None and service is None:
            require_sources(file, sources(_corpus(file)))
        elif opened is None and file.corpus and isinstance(service, OpenWebUISettings) and not service.knowledge:
            require_sources(file, uploads(file.corpus))
    except MissingDataError as error:
        raise MissingDataError(f"{place(file.path, file.lines.get('corpus', 1))}: {error}") from None


def notes_on(file: ProbeFile, encoder: Encoder, retriever: Retriever | None = None) -> Iterator[str]:
    """Yield notes for readers of the results, such as documents whose text differs from what they show."""
    if isinstance(retriever, Chain):
        yield from retriever.notes
    longest = encoder.identity.max_length
    if file.service is not None or file.retrieval.by == BM25:
        return
    if encoder.identity.similarity == "dot" and not encoder.identity.unit_length:
        yield (
            f"{file.path.name}: the model is made for the dot product, and passages are ordered by the cosine, as most indexes do: "
            "an index that is set to the dot product finds others."
        )
    if longest and file.chunking.size > longest:
        yield (
            f"{file.path.name}: passages of up to {file.chunking.size} tokens, of which the model reads {longest}: "
            "what is cut off can't be found. Make chunk: size smaller."
        )


def revision_of(file: ProbeFile) -> str:
    """Return the SHA-256 (hex) of documents and probes: two pass rates can be compared only if it is the same."""
    asked = [(probe.name, probe.ask, probe.expect, probe.reject) for probe in file.probes]
    corpus = digest(file.corpus) if file.corpus else ""
    encoding = f"\0{file.encoding}" if file.encoding else ""
    return hashlib.sha256(f"{corpus}{encoding}\0{asked!r}".encode()).hexdigest()
