"""The questions and expectations of probes. ``reading.py`` reads them from files."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.folding import finds, is_document, stands_in

if TYPE_CHECKING:
    from pytest_embedqa.rag.choices import HttpRetrieval
    from pytest_embedqa.rag.openwebui import OpenWebUISettings

PASS_RATE, RECALL, MRR = "pass_rate", "recall_at_k", "mrr"
GROUP_MEASURES = (PASS_RATE, RECALL, MRR)
# Name of the test that checks that index and model belong together.
INDEX = "index"
COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Pattern:
    """The description of a passage; fields that are not given match anything.

    Attributes:
        contains: Text that the passage contains.
        any_of: Texts of which the passage contains at least one.
        regex: Regular expression that matches in the passage.
        source: Document of the passage, or the end of the document's path.
        page: Pages of which at least one must show the text, or, without a described text, any part of the passage.
        rank: Last rank at which the passage may come back; ``None`` for any.
        lines: Lines of the file on which the keys stand.
    """

    contains: str | None = None
    any_of: tuple[str, ...] = ()
    regex: str | None = None
    source: str | None = None
    page: tuple[int, ...] = ()
    rank: int | None = None
    # The place of a pattern in its file does not count: neither in comparisons, nor in what a baseline knows of a
    # probe.
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def has_text(self) -> bool:
        """Whether the pattern describes the text."""
        return bool(self.contains or self.any_of or self.regex)

    def matches(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Return whether text and place of a passage match.

        Args:
            passage: The passage.
            lenient: Whether doubt counts as a match: where the passage does not tell its document or page, and for
                texts that only some readers equate.
        """
        return (
            self.matches_text(passage, lenient=lenient)
            and self.matches_source(passage, lenient=lenient)
            and self.matches_page(passage, lenient=lenient)
        )

    def matches_text(self, passage: Passage, part: tuple[int, int] | None = None, *, lenient: bool = False) -> bool:
        """Return whether the text matches; at least some of each described text must lie in the part, if given."""
        text = passage.text
        return (
            (self.contains is None or stands_in(self.contains, text, part, lenient=lenient))
            and (not self.any_of or any(stands_in(one, text, part, lenient=lenient) for one in self.any_of))
            and (self.regex is None or finds(self.regex, text, part))
        )

    def matches_source(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Return whether the passage comes from the right document."""
        if self.source is None or passage.source is None:
            return self.source is None or lenient
        return is_document(self.source, passage.source)

    def matches_page(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Return whether the described text, or without one any text of the passage, is on one of the right pages."""
        if not self.page:
            return True
        if passage.page is None:
            return lenient
        if self.in_doubt(passage):
            pages = {page in self.page for page in range(passage.page, (passage.last_page or passage.page) + 1)}
            return all(pages) or (lenient and any(pages))
        return any(page in self.page for page in self.pages_in(passage, lenient=lenient))

    def pages_in(self, passage: Passage, *, lenient: bool = False) -> list[int]:
        """Return all pages of a passage over which the described text runs; none if unknown."""
        if passage.page is not None and not self.has_text:
            return list(range(passage.page, (passage.last_page or passage.page) + 1))
        pages = {page: part for page, part in passage.pages.items() if passage.text[slice(*part)].strip()}
        return [page for page, part in pages.items() if self.matches_text(passage, part, lenient=lenient)]

    def in_doubt(self, passage: Passage) -> bool:
        """Return whether a passage of several pages does not tell on which of them the text stands."""
        return self.has_text and passage.page is not None and not passage.pages

    def __str__(self) -> str:
        """Return the described text, in words."""
        texts = [f"'{self.contains}'"] if self.contains else []
        texts += [" or ".join(f"'{one}'" for one in self.any_of)] if self.any_of else []
        texts += [f"/{self.regex}/"] if self.regex else []
        return f"{' with '.join(texts) or 'a passage'}{self.place}"

    @property
    def place(self) -> str:
        """The described place, in words."""
        source = f" in {self.source}" if self.source else ""
        return source + (f" on page {' or '.join(map(str, self.page))}" if self.page else "")


@dataclass(frozen=True)
class PageSpan:
    """The wanted distance in pages between the first and the last passage that answers, e.g. ``>15``."""

    comparison: str
    pages: int

    def holds(self, span: int) -> bool:
        """Return whether a distance is as required."""
        return COMPARISONS[self.comparison](span, self.pages)

    def __str__(self) -> str:
        """Return the distance as it is written in files."""
        return f"{self.comparison}{self.pages}"


@dataclass(frozen=True)
class Expect:
    """The passages that must come back.

    Attributes:
        pieces: Descriptions of passages that must come back; one passage can match several of them.
        page_span: Wanted distance in pages between these passages.
    """

    pieces: tuple[Pattern, ...]
    page_span: PageSpan | None = None


@dataclass(frozen=True)
class Reject:
    """A passage that must not come back.

    Attributes:
        pattern: Description of the passage.
        margin: If given, the passage may come back, but must score at least this much lower than the best expected
            passage.
    """

    pattern: Pattern
    margin: float | None = None


@dataclass(frozen=True)
class Probe:
    """A question to a knowledge base, with its expectations.

    Attributes:
        name: Name, unique in its file.
        ask: The question.
        expect: Passages that must come back.
        reject: Passages that must not come back.
        max_latency_ms: Most milliseconds that retrieval may take.
        translation: The question in another language, for the file's ``robustness``.
        required: Whether it must hold even where the file allows some probes to be missed (``pass_rate``).
        expected_failures: Reason why it can't hold, by name of the model (or of the retriever: ``bm25``,
            ``openwebui``).
        line: Line of the file on which it begins; 0 outside of files.
    """

    name: str
    ask: str
    expect: Expect | None = None
    reject: tuple[Reject, ...] = ()
    max_latency_ms: float | None = None
    translation: str | None = None
    required: bool = False
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """All described passages, expected or rejected."""
        return (*(self.expect.pieces if self.expect else ()), *(one.pattern for one in self.reject))


@dataclass(frozen=True)
class Robustness:
    """A requirement on probes under a variation of their questions or of the corpus.

    Attributes:
        variation: Name of the variation.
        levels: Strengths of the variation, from weak to strong.
        keep: Least share of the unvaried holding probes that must still hold at the first level that fits any; a
            number, or a dict of numbers by model name. ``None`` only shows it.
        line: Line of the file.
    """

    variation: str
    levels: tuple[int, ...]
    keep: float | Mapping[str, float] | None = None
    line: int = 0


def bound_for(label: str, bound: float | Mapping[str, float] | None) -> float | None:
    """Return a bound that may differ by model; ``None`` if it does not cover this model."""
    return bound.get(label) if isinstance(bound, Mapping) else bound


@dataclass(frozen=True)
class ProbeFile:
    """A corpus, the way to search it, and the probes about it.

    Attributes:
        path: The probe file, or the test module.
        corpus: Folder or file with the documents; ``None`` where the retriever has its own.
        chunking: The way in which documents are cut.
        retrieval: The way in which passages are found.
        probes: The probes of the file.
        encoding: Charset of documents that are not UTF-8 and do not name a charset; or charsets by patterns of their
            paths.
        service: Live system that finds passages in place of the built-in chain.
        bounds: Bounds on all probes together, by measure (``pass_rate``, ``recall_at_k``, ``mrr``); a number, or a dict
            of numbers by model name.
        robustness: Variations to try.
        check_index: Whether to check that the index has vectors of the model under test.
        lines: Line of each bound, of ``corpus``, ``encoding`` and ``retrieve``.
    """

    path: Path
    corpus: Path | None
    chunking: Chunking
    retrieval: Retrieval
    probes: tuple[Probe, ...]
    encoding: str | Mapping[str, str] | None = None
    service: OpenWebUISettings | HttpRetrieval | None = None
    bounds: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    robustness: tuple[Robustness, ...] = ()
    check_index: bool = False
    lines: Mapping[str, int] = field(default_factory=dict)
