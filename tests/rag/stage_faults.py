"""Faults of a knowledge base, one stage broken at a time, on real documents and models: what a failure must name.

The experiments are probe files of ``suites/rag``: a long document, questions across languages, answers among distractors.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain as joined
from pathlib import Path
from typing import Any

import numpy as np

from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.rag import knowledge
from pytest_embedqa.rag.asking import Asker
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.combined import Fused
from pytest_embedqa.rag.documents import Document, read_documents
from pytest_embedqa.rag.following import losses
from pytest_embedqa.rag.fusion import share_of
from pytest_embedqa.rag.probe import Pattern, Probe, ProbeFile
from pytest_embedqa.rag.reading import read_file
from pytest_embedqa.rag.retrieval import Chain, build_chain
from pytest_embedqa.rag.stages import Stage, WordStage

SUITE = Path(__file__).parents[2] / "suites" / "rag"
LONG, LANGUAGES, DISTRACTORS = "white_paper", "across_languages", "distractors"
EXPERIMENTS = (LONG, LANGUAGES, DISTRACTORS)
UNIVERSAL = "python:suites.multilingual:universal?version=0.2.1"
OTHER_MODEL = "builtin"
_INSTRUCTION = "Instruct%3A%20Given%20a%20claim%20about%20climate%20change%2C%20retrieve%20documents%20that%20refute%20it%0AQuery%3A%20"

Passages = Iterable[Passage]


@cache
def store() -> Store:
    """Vectors, which most of the faults share."""
    return Store(None)


@cache
def model(spec: str = UNIVERSAL) -> Any:
    """The model of a spec."""
    return load_model(parse_spec(spec), store())


@cache
def experiment(name: str) -> ProbeFile:
    """A probe file of the suite; its documents are made first."""
    for script in ("make_white_paper", "make_formats"):
        spec = importlib.util.spec_from_file_location(script, SUITE / f"{script}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.build()
    return read_file(SUITE / f"{name}.probe.yaml")


@dataclass(frozen=True)
class Setup:
    """All that decides what comes back.

    Attributes:
        file: The probe file.
        spec: Spec of the model.
        read: Changes a document as it is read.
        cut: Changes the passages of the corpus.
        index: A real index in place of exact search.
        finish: Changes the chain.
    """

    file: ProbeFile
    spec: str = UNIVERSAL
    read: Callable[[Document], Document] = field(default=lambda document: document)
    cut: Callable[[Passages], Passages] = field(default=lambda passages: passages)
    index: Callable[[], Any] | None = None
    finish: Callable[[Chain, Sequence[str]], None] = field(default=lambda _chain, _texts: None)

    def chain(self) -> Chain:
        """The built-in chain, as ``open_chain`` makes it."""
        file, system = self.file, model(self.spec)
        assert file.corpus
        documents = [self.read(one) for one in read_documents(file.corpus, file.encoding)]
        passages = list(self.cut(chunked(documents, file.chunking, knowledge._measure(model()))))
        retrieval = replace(file.retrieval, index="memory" if self.index is None else "broken")
        index = self.index
        chain = build_chain(passages, retrieval, system, index_of=None if index is None else lambda *_: index())
        chain.documents = lambda: documents
        self.finish(chain, [one.text for one in passages])
        return chain


@dataclass(frozen=True)
class Fault:
    """A stage that is broken.

    Attributes:
        stage: The stage that a failure must name.
        of: The experiments in which it can be broken.
        breaks: Breaks a sound set-up.
        by: How passages are found in the sound set-up.
        candidates: Candidates of its first stage.
        spec: Its model.
    """

    stage: str
    of: Sequence[str]
    breaks: Callable[[Setup], Setup]
    by: str = "model"
    candidates: int = 100
    spec: str = UNIVERSAL

    def sound(self, name: str) -> Setup:
        """The set-up before the fault."""
        file = experiment(name)
        return Setup(
            replace(file, retrieval=replace(file.retrieval, by=self.by, candidates=self.candidates)), self.spec
        )


@dataclass(frozen=True)
class Outcome:
    """What was named for the probes that a fault lost.

    Attributes:
        held: Probes that hold without the fault.
        named: Number of lost pieces by the stage that was named.
        lines: The lines of the failures.
    """

    held: int
    named: Counter[str]
    lines: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Number of pieces that were lost."""
        return self.named.total()

    @property
    def most(self) -> str:
        """The stage that is named most often; empty if nothing was lost."""
        return next((stage for stage, _ in self.named.most_common(1)), "")


def outcome(fault: Fault, name: str) -> Outcome:
    """Break a stage, ask the probes that held, and follow what is lost."""
    setup = fault.sound(name)
    held = holding(setup)
    broken = fault.breaks(setup)
    chain, k = broken.chain(), broken.file.retrieval.k
    named: Counter[str] = Counter()
    lines = []
    for probe in broken.file.probes:
        if probe.name not in held or not probe.expect:
            continue
        for loss in losses(chain, Asker().ask(chain, probe, k), k):
            if not loss.let_in:
                named[loss.stage] += 1
                lines.append(f"{probe.name}: {loss.line}")
    return Outcome(len(held), named, tuple(lines))


def holding(setup: Setup) -> set[str]:
    """Names of the probes all of whose pieces come back; for none of these a stage is named."""
    chain, k = setup.chain(), setup.file.retrieval.k
    found = set()
    for probe in setup.file.probes:
        answer = Asker().ask(chain, probe, k)
        if probe.expect and all(answer.ranks):
            found.add(probe.name)
            assert not [one for one in losses(chain, answer, k) if not one.let_in]
    return found


# Extraction.


def _pieces(file: ProbeFile) -> list[Pattern]:
    return [piece for probe in file.probes if probe.expect for piece in probe.expect.pieces]


def _unread(setup: Setup) -> Setup:
    """Pages with an answer are pictures; of other documents, the lines with an answer."""
    pieces = _pieces(setup.file)

    def has(text: str, source: str) -> bool:
        return any(one.matches_text(Passage(text)) and one.matches_source(Passage(text, source)) for one in pieces)

    def read(document: Document) -> Document:
        if document.paged:
            return replace(document, pages=tuple("" if has(page, document.source) else page for page in document.pages))
        kept = [
            "\n\n".join(part for part in page.split("\n\n") if not has(part, document.source))
            for page in document.pages
        ]
        return replace(document, pages=tuple(page.strip() or "A picture." for page in kept))

    return replace(setup, read=read)


def _unmapped(setup: Setup) -> Setup:
    """Fonts have no map to Unicode for every third letter."""

    def read(document: Document) -> Document:
        return replace(
            document,
            pages=tuple(
                "".join("\ufffd" if at % 3 == 0 and sign.isalnum() else sign for at, sign in enumerate(page))
                for page in document.pages
            ),
        )

    return replace(setup, read=read)


# Chunking.


def _halved(setup: Setup) -> Setup:
    """Each answer is cut in the middle."""
    pieces = _pieces(setup.file)

    def cut(passages: Passages) -> Passages:
        for passage in passages:
            yield from _cut_at(passage, [one for one in pieces if one.matches_text(passage)])

    return replace(setup, cut=cut)


def _cut_at(passage: Passage, pieces: Sequence[Pattern]) -> Passages:
    if not pieces:
        yield passage
        return
    end = next(end for end in range(len(passage.text) + 1) if pieces[0].matches_text(Passage(passage.text[:end])))
    start = next(start for start in range(end, -1, -1) if pieces[0].matches_text(Passage(passage.text[start:end])))
    middle = (start + end) // 2
    parts = (passage.text[:middle], passage.text[middle:])
    for text, at in zip(parts, (0, middle), strict=True):
        starts = tuple(one - at for one in passage.page_starts if 0 < one - at < len(text))
        before = sum(one <= at for one in passage.page_starts)
        page = None if passage.page is None else passage.page + before
        last = None if page is None else page + len(starts)
        yield Passage(text, passage.source, page, last, page_starts=starts)


def _windows(setup: Setup) -> Setup:
    """Windows of a few tokens, smaller than most answers."""
    return replace(setup, file=replace(setup.file, chunking=Chunking(by="tokens", size=9)))


# The model.


def _instructed(setup: Setup) -> Setup:
    """The instruction of another model and another task."""
    return replace(setup, spec=f"{UNIVERSAL}&query_prompt={_INSTRUCTION}")


# A real index.


class Starved:
    """An inverted file of which one cell in many is looked at, as of faiss with ``nprobe=1``."""

    def __init__(self, cells: int = 12) -> None:
        """Take so many cells."""
        self.cells = cells

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        """Give each vector to the nearest of some vectors."""
        self.vectors, self.ids = vectors, ids
        self.centres = vectors[np.random.default_rng(0).permutation(len(vectors))[: self.cells]]
        self.cell = (vectors @ self.centres.T).argmax(axis=1)

    def search(self, queries: Any, k: int) -> list[list[str]]:
        """Search the nearest cell alone."""
        found = []
        for query in queries:
            rows = np.flatnonzero(self.cell == (self.centres @ query).argmax())
            found.append([self.ids[row] for row in rows[np.argsort(-(self.vectors[rows] @ query))][:k]])
        return found


class OfAnother(Starved):
    """An index with the vectors of a model that was replaced since."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        """Keep vectors of another space."""
        mixed = vectors @ np.linalg.qr(np.random.default_rng(0).normal(size=(vectors.shape[1],) * 2))[0]
        super().build(mixed.astype(np.float32), ids)

    def search(self, queries: Any, k: int) -> list[list[str]]:
        """Search all of them."""
        return [[self.ids[row] for row in np.argsort(-(self.vectors @ query))[:k]] for query in queries]


class Coarse(OfAnother):
    """An index that keeps the signs of eight numbers of each vector."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        """Keep signs."""
        self.vectors, self.ids = np.sign(vectors[:, :8]), ids

    def search(self, queries: Any, k: int) -> list[list[str]]:
        """Compare signs."""
        return super().search(np.sign(queries[:, :8]), k)


# Words, fusion, reranker.


def _by_blanks(setup: Setup) -> Setup:
    """BM25 takes for a word what stands between blanks."""

    def finish(chain: Chain, texts: Sequence[str]) -> None:
        stage = WordStage(chain._index, cut=str.split)
        stage.add(texts)
        stage.build()
        if isinstance(chain._stage, WordStage):
            chain._stage = stage
        else:
            chain._stage._first = stage  # type: ignore[attr-defined]

    return replace(setup, finish=finish)


class Worst(Stage):
    """A stage that puts last what another puts first."""

    def __init__(self, stage: Stage) -> None:
        """Turn a stage."""
        self.name, self.scale, self._stage = stage.name, stage.scale, stage

    def __call__(self, query: str, k: int) -> list[tuple[int, float]]:
        """The worst of the corpus."""
        every = self._stage(query, 100_000)
        return [(position, -score) for position, score in reversed(every)][:k]

    def order(self, query: str, positions: Sequence[int]) -> list[tuple[int, float]]:
        """The worst first."""
        return [(position, -score) for position, score in reversed(self._stage.order(query, positions))]

    def follow(self, *_arguments: Any, **_more: Any) -> Any:
        """A reranker is not followed, and a list of a fusion alone."""
        raise NotImplementedError


def _inverted(setup: Setup) -> Setup:
    def finish(chain: Chain, _texts: Sequence[str]) -> None:
        chain._stage._second = Worst(chain._stage._second)  # type: ignore[attr-defined]

    return replace(setup, finish=finish)


def _reranked_by_another(setup: Setup) -> Setup:
    """A reranker that knows one of the languages."""

    def finish(chain: Chain, texts: Sequence[str]) -> None:
        other = build_chain(map(Passage, texts), Retrieval(), model(OTHER_MODEL))
        chain._stage._second = other._stage  # type: ignore[attr-defined]

    return replace(setup, finish=finish)


def _drowned(setup: Setup) -> Setup:
    """Words, of which each question has some that say nothing, weigh eight times as much as meaning."""

    def finish(chain: Chain, texts: Sequence[str]) -> None:
        words = WordStage(chain._index)
        words.add(texts)
        words.build()
        parts = (chain._stage, words)
        chain._stage = Fused(parts, ("rrf", share_of("rrf", 60)), (1, 8), 100, grows=True)

    return replace(setup, finish=finish)


# The probes, and numbers.


def _with_k(setup: Setup) -> Setup:
    return replace(setup, file=replace(setup.file, retrieval=replace(setup.file.retrieval, k=1)))


def _with_candidates(setup: Setup) -> Setup:
    retrieval = replace(setup.file.retrieval, candidates=setup.file.retrieval.k)
    return replace(setup, file=replace(setup.file, retrieval=retrieval))


def _asking(setup: Setup, change: Callable[[Pattern], Pattern]) -> Setup:
    """Change all expected pieces, of which a probe then has that alone."""

    def changed(probe: Probe) -> Probe:
        expect = probe.expect and replace(probe.expect, pieces=tuple(map(change, probe.expect.pieces)), page_span=None)
        return replace(probe, expect=expect)

    return replace(setup, file=replace(setup.file, probes=tuple(map(changed, setup.file.probes))))


def _of_another_page(piece: Pattern) -> Pattern:
    return replace(piece, page=(27 if piece.page[0] < 14 else 2,))


def _of_another_source(name: str, piece: Pattern) -> Pattern:
    return replace(piece, source=name)


def _in(name: str) -> Callable[[Setup], Setup]:
    return lambda setup: _asking(setup, partial(_of_another_source, name))


def _with_index(made: Callable[[], Any]) -> Callable[[Setup], Setup]:
    return lambda setup: replace(setup, index=made)


FAULTS = {
    "pages and paragraphs are not read": Fault("extraction", EXPERIMENTS, _unread),
    "fonts without letters": Fault("extraction", EXPERIMENTS, _unmapped),
    "answers are cut in two": Fault("chunking", EXPERIMENTS, _halved),
    "windows of 9 tokens": Fault("chunking", EXPERIMENTS, _windows),
    "another model, which knows one language": Fault(
        "model", (LONG, LANGUAGES), lambda one: replace(one, spec=OTHER_MODEL)
    ),
    "vectors cut to 6 dimensions": Fault("model", EXPERIMENTS, lambda one: replace(one, spec=f"{UNIVERSAL}&dim=6")),
    "instruction of another task": Fault("prompt", EXPERIMENTS, _instructed),
    "index looks at one cell of 12": Fault("index", EXPERIMENTS, _with_index(Starved)),
    "index of the model before": Fault("index", EXPERIMENTS, _with_index(OfAnother)),
    "index keeps 8 signs": Fault("index", EXPERIMENTS, _with_index(Coarse)),
    "index looks at one cell, fused with words": Fault(
        "index", EXPERIMENTS, _with_index(partial(Starved, 40)), by="rrf"
    ),
    "BM25 without segmentation": Fault("bm25", (LONG, DISTRACTORS), _by_blanks, by="bm25"),
    "first stage without segmentation": Fault("bm25", (LONG, DISTRACTORS), _by_blanks, by="rerank"),
    "reranker turned round": Fault("reranker", EXPERIMENTS, _inverted, by="rerank"),
    "reranker that knows one language": Fault("reranker", (LONG,), _reranked_by_another, by="rerank"),
    "as many candidates as k": Fault("candidates", EXPERIMENTS, _with_candidates, by="rerank"),
    "fusion drowns the model": Fault("fusion", EXPERIMENTS, _drowned),
    "k = 1": Fault("cut", EXPERIMENTS, _with_k),
    "the probe names another page": Fault("page", (LONG,), lambda one: _asking(one, _of_another_page)),
    "the probe names another document": Fault("source", (DISTRACTORS,), _in("pets.md")),
    "the probe names another document, of all": Fault("source", (LANGUAGES,), _in("knowledge_base/pets.md")),
}


# Planted once, after the rules were fixed: nothing was changed for them.


class Few(OfAnother):
    """An index that gives a single hit, as one whose filter comes after the search."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        """Keep all."""
        self.vectors, self.ids = vectors, ids

    def search(self, queries: Any, k: int) -> list[list[str]]:
        """Give one."""
        return [found[:1] for found in super().search(queries, k)]


class Slipped(Few):
    """An index whose ids are off by one since a row was removed."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        """Keep the ids of the neighbours."""
        super().build(vectors, [*ids[1:], ids[0]])

    def search(self, queries: Any, k: int) -> list[list[str]]:
        """Give all."""
        return OfAnother.search(self, queries, k)


def _short_lists(setup: Setup) -> Setup:
    return replace(setup, file=replace(setup.file, retrieval=replace(setup.file.retrieval, candidates=2)))


def _gone(setup: Setup) -> Setup:
    """Every second document is an empty template."""
    return replace(
        setup, read=lambda one: one if len(one.source) % 2 else replace(one, pages=("Template.",) * len(one.pages))
    )


def _reads_the_beginning(setup: Setup) -> Setup:
    """A reranker that reads a dozen characters of a passage."""

    def finish(chain: Chain, texts: Sequence[str]) -> None:
        other = build_chain([Passage(text[:12]) for text in texts], Retrieval(), model())
        chain._stage._second = other._stage  # type: ignore[attr-defined]

    return replace(setup, finish=finish)


HELD_OUT = {
    "index gives one hit": Fault("index", EXPERIMENTS, _with_index(Few)),
    "ids of the index are off by one": Fault("index", EXPERIMENTS, _with_index(Slipped)),
    "lists of k passages are fused": Fault("candidates", EXPERIMENTS, _short_lists, by="rrf"),
    "half of the documents are empty": Fault("extraction", (LANGUAGES, DISTRACTORS), _gone),
    "reranker reads 12 characters": Fault("reranker", EXPERIMENTS, _reads_the_beginning, by="rerank"),
    "model reads 12 tokens": Fault(
        "model", (DISTRACTORS,), lambda one: replace(one, spec=f"{OTHER_MODEL}?max_length=12"), spec=OTHER_MODEL
    ),
    "prompt of queries on documents": Fault(
        "prompt", EXPERIMENTS, lambda one: replace(one, spec=f"{UNIVERSAL}&document_prompt={_INSTRUCTION}")
    ),
}


def runs() -> list[tuple[str, str]]:
    """Each fault in each experiment in which it can be broken."""
    return list(joined.from_iterable(((name, one) for one in fault.of) for name, fault in FAULTS.items()))
