"""What a probe asks and expects. How a file says it is read in ``reading.py``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.folding import finds, is_document, stands_in
from pytest_embedqa.rag.passage import Passage

if TYPE_CHECKING:
    from pytest_embedqa.rag.choices import HttpRetrieval
    from pytest_embedqa.rag.openwebui import OpenWebUISettings

PASS_RATE, RECALL, MRR = "pass_rate", "recall_at_k", "mrr"
GROUP_MEASURES = (PASS_RATE, RECALL, MRR)
# Name of the test that index and model belong together.
INDEX = "index"
COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Pattern:
    """Describes a passage; what is not given may be anything.

    Attributes:
        contains: A text that stands in it.
        any_of: Texts of which at least one stands in it.
        regex: A regular expression that is found in it.
        source: Its document, or the end of the document's path.
        page: Pages; of one of these it shows the text, or anything if no text is described.
        rank: The last rank at which it may come back; ``None`` for any.
        lines: Lines of the file on which its keys are.
    """

    contains: str | None = None
    any_of: tuple[str, ...] = ()
    regex: str | None = None
    source: str | None = None
    page: tuple[int, ...] = ()
    rank: int | None = None
    # Where it is written does not make it another: neither compared, nor part of what a baseline knows of a probe.
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def has_text(self) -> bool:
        """Whether it says anything about the text."""
        return bool(self.contains or self.any_of or self.regex)

    def matches(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Whether text and place of a passage are as described.

        Args:
            passage: The passage.
            lenient: Whether it is in doubt: where the passage does not say its document or page, and for texts that
                only some readers take for the same.
        """
        return (
            self.matches_text(passage, lenient=lenient)
            and self.matches_source(passage, lenient=lenient)
            and self.matches_page(passage, lenient=lenient)
        )

    def matches_text(self, passage: Passage, part: tuple[int, int] | None = None, *, lenient: bool = False) -> bool:
        """Whether the text is as described, at least some of each of its texts in a part, if one is given."""
        text = passage.text
        return (
            (self.contains is None or stands_in(self.contains, text, part, lenient=lenient))
            and (not self.any_of or any(stands_in(one, text, part, lenient=lenient) for one in self.any_of))
            and (self.regex is None or finds(self.regex, text, part))
        )

    def matches_source(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Whether it is from the right document."""
        if self.source is None or passage.source is None:
            return self.source is None or lenient
        return is_document(self.source, passage.source)

    def matches_page(self, passage: Passage, *, lenient: bool = False) -> bool:
        """Whether the text, or any of it if no text is described, is on one of the right pages."""
        if not self.page:
            return True
        if passage.page is None:
            return lenient
        if self.in_doubt(passage):
            pages = {page in self.page for page in range(passage.page, (passage.last_page or passage.page) + 1)}
            return all(pages) or (lenient and any(pages))
        return any(page in self.page for page in self.pages_in(passage, lenient=lenient))

    def pages_in(self, passage: Passage, *, lenient: bool = False) -> list[int]:
        """The pages of a passage on which the text stands, all that it runs over; none where that is unknown."""
        if passage.page is not None and not self.has_text:
            return list(range(passage.page, (passage.last_page or passage.page) + 1))
        pages = {page: part for page, part in passage.pages.items() if passage.text[slice(*part)].strip()}
        return [page for page, part in pages.items() if self.matches_text(passage, part, lenient=lenient)]

    def in_doubt(self, passage: Passage) -> bool:
        """Whether a passage of several pages does not say on which of them the text stands."""
        return self.has_text and passage.page is not None and not passage.pages

    def __str__(self) -> str:
        """What is looked for, in words."""
        texts = [f"'{self.contains}'"] if self.contains else []
        texts += [" or ".join(f"'{one}'" for one in self.any_of)] if self.any_of else []
        texts += [f"/{self.regex}/"] if self.regex else []
        return f"{' with '.join(texts) or 'a passage'}{self.place}"

    @property
    def place(self) -> str:
        """Where it is looked for, in words."""
        source = f" in {self.source}" if self.source else ""
        return source + (f" on page {' or '.join(map(str, self.page))}" if self.page else "")


@dataclass(frozen=True)
class PageSpan:
    """How many pages lie between the first and the last passage that answers, e.g. ``>15``."""

    comparison: str
    pages: int

    def holds(self, span: int) -> bool:
        """Whether a span is as wanted."""
        return COMPARISONS[self.comparison](span, self.pages)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.comparison}{self.pages}"


@dataclass(frozen=True)
class Expect:
    """What must come back.

    Attributes:
        pieces: Passages that must come back, each described; one passage can be several of them.
        page_span: How far apart the pages of these passages must be.
    """

    pieces: tuple[Pattern, ...]
    page_span: PageSpan | None = None


@dataclass(frozen=True)
class Reject:
    """What must not come back.

    Attributes:
        pattern: The passage, described.
        margin: If given, it may come back, but must score at least so much less than the best expected passage.
    """

    pattern: Pattern
    margin: float | None = None


@dataclass(frozen=True)
class Probe:
    """One question to a knowledge base.

    Attributes:
        name: Its name, unique in its file.
        ask: The question.
        expect: What must come back.
        reject: What must not.
        max_latency_ms: Most time that retrieval may take, in milliseconds.
        translation: The question in another language, for the file's ``robustness``.
        required: Whether it must hold even where the file allows some probes to be missed (``pass_rate``).
        expected_failures: Why it can't hold, by name of the model (or of the retriever: ``bm25``, ``openwebui``).
        line: Line of the file on which it begins; 0 if it is not from a file.
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
        """All passages that it describes, expected or rejected."""
        return (*(self.expect.pieces if self.expect else ()), *(one.pattern for one in self.reject))


@dataclass(frozen=True)
class Robustness:
    """How probes must stand a variation of their questions, or of the corpus.

    Attributes:
        variation: Name of the variation.
        levels: How much is varied, from little to much.
        keep: Least share of the probes that hold unvaried which must still hold at the first level that
            fits any; a number, or one by model name. ``None`` only shows it.
        line: Line of the file.
    """

    variation: str
    levels: tuple[int, ...]
    keep: float | Mapping[str, float] | None = None
    line: int = 0


def bound_for(label: str, bound: float | Mapping[str, float] | None) -> float | None:
    """A bound that may be one by model; ``None`` if it says nothing of this one."""
    return bound.get(label) if isinstance(bound, Mapping) else bound


@dataclass(frozen=True)
class ProbeFile:
    """A corpus, how it is searched, and what is asked of it.

    Attributes:
        path: The file, or the test module.
        corpus: Folder or file with the documents; ``None`` where the retriever has its own.
        chunking: How documents are cut.
        retrieval: How passages are found.
        probes: What is asked.
        encoding: Charset of documents that are not UTF-8 and do not name one; or charsets by patterns of their paths.
        service: The live system that finds passages, if it is not done here.
        bounds: Bounds on all probes together, by measure (``pass_rate``, ``recall_at_k``, ``mrr``); a number, or one by model name.
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
