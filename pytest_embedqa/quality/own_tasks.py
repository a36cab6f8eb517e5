"""Tasks on a user's own data, each in a line: ``@mteb_task(retrieval_task("data/faq"), min_ndcg_at_10=0.8)``.

This module only reads and checks the data. ``quality/mteb/tasks.py`` makes an mteb task of it, so that mteb's own
code evaluates it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from pytest_embedqa.core.arguments import is_number
from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.quality.own_rows import (
    Place,
    Row,
    error_at,
    id_of,
    number_of,
    read_rows,
    require_file,
    text_of,
    whole_text,
)

Instruction = str | Mapping[str, str]
# A file named only after its split tells nothing of its content.
_SPLITS = ("test", "dev", "validation")
# trec_eval counts judgements in a table of all grades up to the highest: it fills memory, then silently gives 0.
_HIGHEST_GRADE = 1_000_000


@dataclass(frozen=True)
class OwnTask:
    """A task on the user's own data.

    Attributes:
        type: mteb's name for the type of task.
        path: File or folder; relative paths start at the test file's folder.
        name: Name in reports and baselines; made of path and split by default.
        is_named: Whether the user gave the name.
        split: For a BEIR-style folder, the split whose ``qrels/SPLIT.tsv`` to use.
        instruction: Instruction for an instruction-aware model; a text, or texts by kind (``query``, ``document``).
        score_range: For sentence pairs, the lowest and highest grade.
    """

    type: str
    path: Path
    name: str
    split: str = "test"
    instruction: Instruction | None = field(default=None, hash=False)
    score_range: tuple[float, float] = (0.0, 5.0)
    is_named: bool = field(default=False, compare=False)

    def beside(self, folder: Path, root: Path | None = None) -> OwnTask:
        """Return the same task with its path made absolute from ``folder``, and a name by its path below ``root``.

        Data outside ``root`` is named after its file or folder alone: other parts of the path differ between machines.
        """
        path = folder / self.path
        if self.is_named:
            return replace(self, path=path)
        normal = Path(os.path.normpath(path))
        if root and normal != root and normal.is_relative_to(root):
            return replace(self, path=path, name=_name(normal.relative_to(root), self, whole=True))
        return replace(self, path=path, name=_name(normal, self))


def retrieval_task(
    path: str | Path, *, name: str | None = None, split: str = "test", instruction: Instruction | None = None
) -> OwnTask:
    """Make a task of a BEIR-style folder: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/SPLIT.tsv`` (or ``.jsonl``)."""
    return _own("Retrieval", path, name, split=split, instruction=instruction)


def sts_task(
    path: str | Path,
    *,
    name: str | None = None,
    instruction: Instruction | None = None,
    score_range: Sequence[float] = (0.0, 5.0),
) -> OwnTask:
    """Make a task of graded sentence pairs: columns ``sentence1``, ``sentence2``, ``score``; JSONL, CSV or TSV."""
    grades = tuple(score_range) if isinstance(score_range, tuple | list) else ()
    numbers = [one for one in grades if is_number(one)]
    if not len(grades) == len(numbers) == 2 or not numbers[0] < numbers[1]:  # noqa: PLR2004
        raise SpecError(f"score_range={score_range!r} must be the lowest and the highest grade, e.g. (0, 5).")
    return _own("STS", path, name, instruction=instruction, score_range=grades)


def pair_task(path: str | Path, *, name: str | None = None, instruction: Instruction | None = None) -> OwnTask:
    """Make a task of pairs that belong together or not: columns ``sentence1``, ``sentence2``, ``label`` (1 or 0)."""
    return _own("PairClassification", path, name, instruction=instruction)


def bitext_task(path: str | Path, *, name: str | None = None, instruction: Instruction | None = None) -> OwnTask:
    """Make a task of translations: columns ``sentence1`` and ``sentence2``, a pair in each line."""
    return _own("BitextMining", path, name, instruction=instruction)


def _own(
    type_: str,
    path: str | Path,
    name: str | None,
    *,
    instruction: Instruction | None,
    **details: Any,
) -> OwnTask:
    path = Path(path)
    kinds = instruction if isinstance(instruction, Mapping) else {}
    if not isinstance(instruction, str | Mapping | None) or set(kinds) - {"query", "document"}:
        raise SpecError(f'instruction={instruction!r} must be a text, or texts by kind: {{"query": …, "document": …}}.')
    given = {"split": details.get("split", "test"), **({} if name is None else {"name": name})}
    for what, text in given.items():
        if not (isinstance(text, str) and text.strip() and text.isprintable()):
            raise SpecError(f"{what}={text!r} must be a text that can be printed and is not blank.")
    task = OwnTask(type_, path, name or "", instruction=instruction, is_named=bool(name), **details)
    return task if name else replace(task, name=_name(path, task))


def _name(path: PurePath, task: OwnTask, *, whole: bool = False) -> str:
    """Return a name that tells files and their splits apart: the path, or the end of it."""
    split = "test"
    if task.type == "Retrieval":
        split = task.split
    elif path.stem in _SPLITS and path.parent.name:
        path, split = path.parent, path.stem
    else:
        path = path.with_suffix("")
    name = (path.as_posix() if whole else path.name) + ("" if split == "test" else f"-{split}")
    # The name of a file may hold bytes that are no text, or characters that a terminal would obey.
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def read_pairs(task: OwnTask) -> list[Row]:
    """Return the checked rows of a pair file.

    Raises:
        DataError: For the first wrong row, with file and line.
    """
    numbers: dict[str, Callable[[float], str | None]] = {
        "STS": lambda score: (
            None if task.score_range[0] <= score <= task.score_range[1] else f"score lies outside {task.score_range}"
        ),
        "PairClassification": lambda label: None if label in {0, 1} else "label must be 0 or 1",
    }
    column = {"STS": "score", "PairClassification": "label"}.get(task.type)
    rows = []
    for place, row in read_rows(task.path):
        kept: Row = {key: text_of(row, key, place) for key in ("sentence1", "sentence2")}
        if column:
            kept[column] = number_of(row, column, place)
            if problem := numbers[task.type](kept[column]):
                raise error_at(place, f"{problem}, but it is {row[column]}")
        rows.append(kept)
    if not rows:
        raise DataError(f"{task.path} is empty. Give it at least one row.")
    return rows


def read_retrieval(task: OwnTask) -> tuple[Iterator[Row], list[Row], dict[str, dict[str, int]]]:
    """Return corpus, queries and relevance judgements of a BEIR-style folder, checked against each other.

    The corpus may be larger than memory: its rows are read and checked while they are iterated.

    Raises:
        DataError: For the first wrong row, with file and line.
    """
    if not task.path.is_dir():
        raise DataError(
            f"{task.path} is not a folder. A retrieval task is a folder with corpus.jsonl, queries.jsonl and qrels/{task.split}.tsv."
        )
    queries = list(_texts_by_id(task.path / "queries.jsonl"))
    judged_at, qrels = _judgements(_qrels_file(task), {query["id"] for query in queries})
    return _corpus(task.path / "corpus.jsonl", judged_at), queries, qrels


def query_ids(task: OwnTask) -> list[str]:
    """Return the ids of all queries of a BEIR-style folder, judged or not.

    Raises:
        DataError: For the first wrong row, with file and line.
    """
    return [query["id"] for query in _texts_by_id(task.path / "queries.jsonl")]


def files_of(task: OwnTask) -> list[Path]:
    """Return the files that a task is read from.

    Raises:
        DataError: If a file is missing.
    """
    whole = [task.path]
    if task.type == "Retrieval":
        whole = [task.path / "corpus.jsonl", task.path / "queries.jsonl", _qrels_file(task)]
    for path in whole:
        require_file(path)
    return whole


def data_digest(task: OwnTask) -> str:
    """Return the SHA-256 (hex) over the files of a task alone: reports and other splits may lie in the same folder.

    Raises:
        DataError: If a file is missing.
    """
    digests = [file_digest(path) for path in files_of(task)]
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()


def _judgements(path: Path, asked: Container[str]) -> tuple[dict[str, Place], dict[str, dict[str, int]]]:
    """Return the first place where each document is judged, and the grades by query."""
    judged_at: dict[str, Place] = {}
    judged_first: dict[str, Place] = {}
    qrels: dict[str, dict[str, int]] = {}
    for place, row in read_rows(path):
        query, document = id_of(row, "query-id", place), id_of(row, "corpus-id", place)
        if query not in asked:
            raise error_at(place, f"'{query}' is not in queries.jsonl")
        score = number_of(row, "score", place)
        if not score.is_integer():
            raise error_at(place, f"a relevance score is a whole number, but it is {row['score']}")
        if abs(score) > _HIGHEST_GRADE:
            raise error_at(
                place,
                f"a relevance score of {score:g} is not a grade: grades go up to {_HIGHEST_GRADE:,}. Does the number belong to another column?",
            )
        judged = qrels.setdefault(query, {})
        if judged.setdefault(document, int(score)) != score:
            raise error_at(
                place,
                f"'{document}' is judged {int(score)} for '{query}' here, and {judged[document]} before; keep one",
            )
        judged_at.setdefault(document, place)
        judged_first.setdefault(query, place)
    relevant = {query for query, judged in qrels.items() if any(score > 0 for score in judged.values())}
    if not relevant:
        raise DataError(f"{path} judges nothing as relevant, so there is nothing to measure.")
    for query in qrels:
        if query not in relevant:
            raise error_at(
                judged_first[query],
                f"no document is relevant for '{query}', so that any encoder scores 0 with it. Judge a document above 0, or remove the query",
            )
    return judged_at, qrels


def _corpus(path: Path, judged_at: Mapping[str, Place]) -> Iterator[Row]:
    """Yield the rows of a corpus, which must contain all judged documents."""
    missing = dict(judged_at)
    for row in _texts_by_id(path, titled=True):
        missing.pop(row["id"], None)
        yield row
    for document, place in missing.items():
        raise error_at(place, f"'{document}' is not in corpus.jsonl")


def _qrels_file(task: OwnTask) -> Path:
    candidates = [task.path / "qrels" / f"{task.split}{kind}" for kind in (".tsv", ".jsonl")]
    if task.split == "test":  # a file for no split in particular
        candidates.append(task.path / "qrels.tsv")
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        raise DataError(
            f"{task.path} has no relevance judgements. Expected one of: {', '.join(str(path) for path in candidates)}."
        )
    return found


def _texts_by_id(path: Path, *, titled: bool = False) -> Iterator[Row]:
    import numpy as np  # a test file names its task by this module

    hashes = array("q")  # hashes of millions of ids, which themselves would fill the memory
    for place, row in read_rows(path):
        id_ = _id(row, place)
        hashes.append(hash(id_))
        if not isinstance(title := row.get("title") or "", str):
            raise error_at(place, f"'title' must be a text, but it is {title!r:.40}")
        title = whole_text(title, "title", place)
        # Some documents are only a title (TREC-COVID).
        text = "" if titled and title.strip() and row.get("text", title) in {"", None} else text_of(row, "text", place)
        yield {"id": id_, "title": title, "text": text}
    if not hashes:
        raise DataError(f"{path} is empty. Give it at least one row.")
    values, counts = np.unique(hashes, return_counts=True)
    if (counts > 1).any():
        _name_the_second(path, set(values[counts > 1].tolist()))


def _name_the_second(path: Path, hashes: set[int]) -> None:
    """Raise DataError for the first row with an earlier row's id, given the hashes of ids that may be repeated."""
    seen = set()
    for place, row in read_rows(path):
        id_ = _id(row, place)
        if id_ in seen:
            raise error_at(place, f"the id '{id_}' appears here for the second time")
        if hash(id_) in hashes:
            seen.add(id_)


def _id(row: Row, place: Place) -> str:
    return id_of(row, "_id" if "_id" in row or "id" not in row else "id", place)
