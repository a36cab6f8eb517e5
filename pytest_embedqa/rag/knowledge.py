"""The opening of a probe file's retriever: the chain of this package, or a live system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from pytest_embedqa.core.errors import DataError, EmbedQAError, EngineError, MissingDataError, SpecError
from pytest_embedqa.encoders.encoder import Progress
from pytest_embedqa.encoders.engine import estimated_lengths
from pytest_embedqa.encoders.retrievers.passage import Passage, Retriever
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.system import System
from pytest_embedqa.rag.choices import HttpRetrieval, takes_no_model
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document, digest, read_documents, sources
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.indexed_vectors import IndexOf
from pytest_embedqa.rag.known import require_pages, require_sources
from pytest_embedqa.rag.noise import noise_passages
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, OpenWebUISettings, uploads
from pytest_embedqa.rag.probe import ProbeFile
from pytest_embedqa.rag.retrieval import Chain, build_chain
from pytest_embedqa.rag.validation import place

BM25, OPENWEBUI, HTTP = "bm25", "openwebui", "http"


def label_of(file: ProbeFile, model: System, opened: Retriever | None = None) -> str:
    """Return the key of ``expected_failures`` and bounds: the model, or what finds passages without the model under test.

    Args:
        file: The probe file.
        model: The model under test.
        opened: The retriever of the file.
    """
    if file.service is not None:
        return HTTP if isinstance(file.service, HttpRetrieval) else OPENWEBUI
    if takes_no_model(file.retrieval):
        return next((one.name for one in opened.models), BM25) if isinstance(opened, Chain) else BM25
    return BM25 if model.kind == BM25 else model.name


def open_chain(  # noqa: PLR0913  the parts of a chain
    file: ProbeFile,
    model: System,
    folder: Path,
    noise: int = 0,
    *,
    load: Callable[[Spec], System] | None = None,
    index_of: IndexOf | None = None,
) -> Chain:
    """Read, cut and index a file's corpus; ``require_places`` checks whether its probes fit.

    Args:
        file: The probe file.
        model: Model under test; its tokenizer measures the passages.
        folder: An empty folder for an index on disk.
        noise: Number of passages on other subjects to add.
        load: Returns the system of a spec, for the reranker that the file names.
        index_of: Makes the real index that the file names.

    Raises:
        EmbedQAError: If the corpus can't be read or is empty, a package is missing, or a model can't do its part.
    """
    notes: list[str] = []
    last_pages: dict[str, int | None] = {}
    passages = passages_of(file, model, notes, last_pages)
    where = place(file.path, file.lines.get("retrieve", 1))
    reranker = None
    if file.retrieval.reranker and load:
        try:
            reranker = load(file.retrieval.reranker)
        except EmbedQAError as error:
            raise EngineError(f"{where}: the reranker can't be used. {error}") from error
    try:
        opened = build_chain(
            chain(passages, noise_passages(noise)), file.retrieval, model, folder, reranker=reranker, index_of=index_of
        )
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    opened.notes, opened.last_pages = tuple(notes), last_pages
    opened.documents = lambda: read_documents(_corpus(file), file.encoding)
    return opened


def passages_of(
    file: ProbeFile, model: System, notes: list[str], last_pages: dict[str, int | None]
) -> Iterable[Passage]:
    """Read and cut the documents of a file's corpus.

    Args:
        file: The probe file.
        model: The model whose tokenizer measures the passages.
        notes: Takes the notes on documents as they are read.
        last_pages: Takes the last page of each document by its name; ``None`` where it has no pages.
    """
    documents = _noted(read_documents(_corpus(file), file.encoding), notes, last_pages)
    return chunked(documents, file.chunking, _measure(model))


def _measure(model: System) -> Callable[[Sequence[str]], list[int]]:
    """Return what counts the tokens of texts: the tokenizer of the model, or of its first part that has one."""
    counts: Callable[[Sequence[str]], list[int]] | None = getattr(model, "estimate_tokens", None)
    parts = map(_measure, getattr(model, "parts", ()))
    return counts or next((one for one in parts if one is not estimated_lengths), estimated_lengths)


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


def notes_on(file: ProbeFile, retriever: Retriever | None) -> Iterator[str]:
    """Yield notes for readers of the results, such as documents whose text differs from what they show."""
    if not isinstance(retriever, Chain):
        return
    yield from retriever.notes
    name = file.path.name
    for model in retriever.models:
        called = "the model" if len(retriever.models) == 1 else f"'{model.spec}'"
        longest, size = model.identity.max_length, file.chunking.size
        if model.kind == "dense" and model.identity.similarity == "dot" and not model.identity.unit_length:
            yield (
                f"{name}: {called} is made for the dot product, and passages are ordered by the cosine, as most indexes do: "
                "an index that is set to the dot product finds others."
            )
        if longest and size > longest:
            yield (
                f"{name}: passages of up to {size} tokens, of which {called} reads {longest}"
                f"{', question included' if model.kind == 'reranker' else ''}: "
                "what is cut off can't be found. Make chunk: size smaller."
            )


def revision_of(file: ProbeFile) -> str:
    """Return the SHA-256 (hex) of documents and probes: two pass rates can be compared only if it is the same."""
    asked = [(probe.name, probe.ask, probe.expect, probe.reject) for probe in file.probes]
    corpus = digest(file.corpus) if file.corpus else ""
    encoding = f"\0{file.encoding}" if file.encoding else ""
    return hashlib.sha256(f"{corpus}{encoding}\0{asked!r}".encode()).hexdigest()
