"""TREC run files: ``QUERY Q0 DOCUMENT RANK SCORE TAG`` in each line, as retrieval tools write their results.

What trec_eval drops, overwrites or reads as 0 is an error here, with the line.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.quality.own_rows import NUL

FORM = "QUERY Q0 DOCUMENT RANK SCORE TAG"
# In the place of a document: nothing was found for the query. The format has no other way to say it.
NOTHING = "-"
_FIELDS = len(FORM.split())
_GZIP = b"\x1f\x8b"
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


@dataclass
class TrecRun:
    """The rankings of a run file.

    Attributes:
        path: The file.
        rankings: Scores by document, by query, as trec_eval compares them: in single precision.
        lines: The line in which each query first stands.
        ranked_otherwise: Queries whose ranks contradict their scores, each with a line that shows it.
        ties: Queries in which documents with equal scores are ranked otherwise than trec_eval orders them.
        tags: Tags of the systems that wrote the file.
    """

    path: Path
    rankings: dict[str, dict[str, float]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    ranked_otherwise: dict[str, int] = field(default_factory=dict)
    ties: list[str] = field(default_factory=list)
    tags: dict[str, None] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Number of documents in the longest list."""
        return max(map(len, self.rankings.values()), default=0)


def read_run(path: Path) -> TrecRun:
    """Read a run file, plain or gzipped.

    Raises:
        DataError: For the first line that is wrong, or a file that can't be read.
    """
    run = TrecRun(path)
    placed: dict[str, list[tuple[int, str, int]]] = {}
    for number, line in _lines(path):
        query, document, rank, score, tag = _fields(path, number, line)
        run.tags[tag] = None
        run.lines.setdefault(query, number)
        ranking = run.rankings.setdefault(query, {})
        before = (
            next((at for _, known, at in placed.get(query, ()) if known == document), None)
            if document in ranking
            else None
        )
        if before is not None:
            raise _wrong(
                path, number, f"'{document}' stands here for the second time for '{query}', first in line {before}"
            )
        placed.setdefault(query, []).append((rank, document, number))
        ranking[document] = score
    if not run.rankings:
        raise DataError(f"{path} is empty. A run has a line for each document found: {FORM}.")
    for query, ranking in run.rankings.items():
        _compare_ranks(run, query, ranking, placed[query])
        if NOTHING in ranking and len(ranking) > 1:
            raise _wrong(
                path, run.lines[query], f"'{NOTHING}' stands for a query without an answer, and '{query}' has one"
            )
    return run


def _compare_ranks(
    run: TrecRun, query: str, ranking: Mapping[str, float], placed: Iterable[tuple[int, str, int]]
) -> None:
    """Note where the order by rank is not the order by score, which alone counts."""
    by_rank = sorted(placed, key=lambda one: (one[0], one[2]))  # some tools write the same rank everywhere
    for (_, before, _), (_, after, number) in pairwise(by_rank):
        if ranking[after] > ranking[before]:
            run.ranked_otherwise.setdefault(query, number)
        elif ranking[after] == ranking[before] and after > before and query not in run.ties:
            run.ties.append(query)


def _fields(path: Path, number: int, line: str) -> tuple[str, str, int, float, str]:
    parts = line.split()
    if len(parts) != _FIELDS:
        raise _wrong(
            path, number, f"{len(parts)} fields, and a run has {_FIELDS}: {FORM}; here it is {line.strip()!r:.80}"
        )
    query, _, document, rank, score, tag = parts
    if not re.fullmatch(r"\d+", rank, re.ASCII):
        raise _wrong(path, number, f"a rank is a whole number, but it is {rank!r:.40}")
    with np.errstate(over="ignore"):
        single = float(np.float32(score)) if _NUMBER.fullmatch(score) else math.nan
    if not math.isfinite(single):
        raise _wrong(path, number, f"a score is a finite number, but it is {score!r:.40}")
    return query, document, int(rank), single, tag


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers."""
    number = 0
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                if NUL in line:
                    raise _wrong(path, number, "a NUL byte, at which trec_eval ends an id")
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise _wrong(path, number, f"it is not UTF-8 ({error.reason}). Save it as UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is gzipped, and broken after line {number:,}: {error}. Write it again.") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}.") from None


def _wrong(path: Path, number: int, problem: str) -> DataError:
    return DataError(f"{path}:{number}: {problem}.")
