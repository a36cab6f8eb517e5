"""The check that the documents and pages of probes exist: a wrong name is never found, and never rejected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.folding import comparable, is_document
from pytest_embedqa.rag.probe import Pattern, ProbeFile
from pytest_embedqa.rag.validation import place


def require_sources(file: ProbeFile, sources: Collection[str]) -> None:
    """Refuse a ``source``, or a pattern of ``encoding``, that matches no document of the corpus.

    Args:
        file: The probe file.
        sources: The documents' paths below the corpus.

    Raises:
        DataError: With file and line of each wrong name.
    """

    def problem(pattern: Pattern) -> str | None:
        name = pattern.source
        if name is None or any(is_document(name, source) for source in sources):
            return None
        ends = {comparable(source): source for source in sources}
        ends |= {comparable(source.rpartition("/")[2]): source for source in sources}
        guess = get_close_matches(comparable(name.replace("\\", "/").rpartition("/")[2]), ends, n=1)
        hint = f" Did you mean '{ends[guess[0]]}'?" if guess else ""
        return f"source '{name}' is none of the {len(sources):,} documents of the corpus.{hint} It is a path below the corpus, or the end of one."

    patterns = file.encoding if isinstance(file.encoding, Mapping) else {}
    unused = [pattern for pattern in patterns if not any(fnmatchcase(source, pattern) for source in sources)]
    if unused:
        raise DataError(
            f"{place(file.path, file.lines.get('encoding', 0))}: encoding '{unused[0]}' fits none of the {len(sources):,} "
            "documents of the corpus. It is a pattern of paths below the corpus, such as old/*.txt."
        )
    _require(file, "source", problem)


def require_pages(file: ProbeFile, last: Mapping[str, int | None]) -> None:
    """Refuse a ``page`` that none of its possible documents has.

    Args:
        file: The probe file.
        last: The last page of each document by its path below the corpus; ``None`` for a document without pages.

    Raises:
        DataError: With file and line of each wrong page.
    """
    _require(file, "page", lambda pattern: _problem_of_page(pattern, last))


def _problem_of_page(pattern: Pattern, last: Mapping[str, int | None]) -> str | None:
    """Say what is wrong with the pages of a pattern, given each document's last page (``None`` if it has no pages)."""
    possible = [pages for source, pages in last.items() if not pattern.source or is_document(pattern.source, source)]
    if not pattern.page or not possible:
        return None
    where = f"'{pattern.source}'" if pattern.source else "the corpus"
    longest = max((pages for pages in possible if pages), default=0)
    if not longest:
        return f"page {pattern.page[0]}: {where} has no pages. PDF files have; leave page out."
    if min(pattern.page) > longest:
        return f"page {min(pattern.page)}: {where} has {longest} pages."
    return None


def _require(file: ProbeFile, key: str, problem_of: Callable[[Pattern], str | None]) -> None:
    problems = {
        f"{place(file.path, pattern.lines.get(key, probe.line))}: {probe.name}: {problem}": None
        for probe in file.probes
        for pattern in probe.patterns
        if (problem := problem_of(pattern))
    }
    if problems:
        raise DataError("\n".join(problems))
