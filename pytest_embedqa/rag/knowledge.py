"""From a probe file to what answers it: the chain of this package, or a live system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.encoders.encoder import Encoder, Progress
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document, digest, read_documents, sources
from pytest_embedqa.rag.http import HttpRetrieval, HttpRetriever
from pytest_embedqa.rag.known import require_sources, with_their_pages
from pytest_embedqa.rag.noise import noise_passages
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, uploads
from pytest_embedqa.rag.passage import Passage, Retriever
from pytest_embedqa.rag.probe import ProbeFile
from pytest_embedqa.rag.retrieval import Chain, build_chain

BM25, OPENWEBUI, HTTP = "bm25", "openwebui", "http"


def label_of(file: ProbeFile, encoder: Encoder) -> str:
    """By what a file's ``expected_failures`` and bounds are found: the model, or what finds passages without it."""
    if file.service is not None:
        return HTTP if isinstance(file.service, HttpRetrieval) else OPENWEBUI
    no_model = file.retrieval.by == BM25 and not file.retrieval.cross_encoder
    return BM25 if no_model else encoder.name


def open_chain(file: ProbeFile, encoder: Encoder, folder: Path, noise: int = 0) -> Chain:
    """Read, cut and index a file's corpus.

    Args:
        file: The probe file.
        encoder: Makes the vectors; its tokenizer measures passages.
        folder: An empty folder for an index on disk.
        noise: How many passages on other subjects to add.

    Raises:
        EmbedQAError: If the corpus can't be read or is empty, or a package is missing.
    """
    if file.corpus is None:
        raise DataError(f"{file.path.name} names no corpus, and no retriever of its own: add  corpus: FOLDER.")
    require_sources(file, sources(file.corpus))
    notes: list[str] = []
    documents = with_their_pages(file, _noted(read_documents(file.corpus, file.encoding), notes))
    passages: Iterable[Passage] = chunked(documents, file.chunking, encoder.estimate_tokens)
    opened = build_chain(chain(passages, noise_passages(noise)), file.retrieval, encoder, folder)
    opened.notes = tuple(notes)
    return opened


def _noted(documents: Iterable[Document], notes: list[str]) -> Iterator[Document]:
    """Documents as they are read, their notes written down."""
    for document in documents:
        notes += document.notes
        yield document


def open_service(file: ProbeFile, progress: Progress | None = None) -> OpenWebUIRetriever | HttpRetriever:
    """Connect to a file's live system; OpenWebUI is given the corpus.

    Raises:
        EmbedQAError: If it can't be used as it is asked for.
    """
    if isinstance(file.service, HttpRetrieval):
        return HttpRetriever(file.service)
    assert file.service is not None  # noqa: S101  only asked where there is one
    if file.corpus and not file.service.knowledge:
        require_sources(file, uploads(file.corpus))
    return OpenWebUIRetriever(file.service, file.corpus, progress)


def notes_on(file: ProbeFile, encoder: Encoder, retriever: Retriever | None = None) -> Iterator[str]:
    """What a reader of the results must know, also of documents that were not read as they are shown."""
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
    """SHA-256 (hex) of what decides whether two pass rates can be compared: the documents and the probes."""
    asked = [(probe.name, probe.ask, probe.expect, probe.reject) for probe in file.probes]
    corpus = digest(file.corpus) if file.corpus else ""
    encoding = f"\0{file.encoding}" if file.encoding else ""
    return hashlib.sha256(f"{corpus}{encoding}\0{asked!r}".encode()).hexdigest()
