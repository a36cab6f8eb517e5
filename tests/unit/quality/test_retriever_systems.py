"""Retrievers as systems: what run files say of themselves, and the tasks that they can be asked."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.errors import DataError, SpecError, TaskError
from pytest_embedqa.quality.evaluator import Evaluator
from pytest_embedqa.quality.mteb.searching import documents_of, searched
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import retrieval_task
from pytest_embedqa.quality.retrievers.choice import RetrieverChoice
from pytest_embedqa.quality.retrievers.pool import Retrievers
from pytest_embedqa.quality.task import TaskQuery

RUN = "q1 Q0 d1 1 3 tool\nq1 Q0 d2 2 2 tool\nq2 Q0 d2 1 3 tool\nq2 Q0 d1 2 2 tool\n"


@pytest.fixture
def task(tmp_path):
    """Make a task of two documents and two queries, with a prefix to its texts."""

    def made(name, prefix=""):
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        for kind, ids in (("corpus", "d"), ("queries", "q")):
            rows = [{"_id": f"{ids}{one}", "text": f"{prefix}{kind} {one}"} for one in (1, 2)]
            (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
        return TaskQuery(retrieval_task(folder))

    return made


@pytest.fixture
def system(tmp_path):
    """Make the system of a run file."""

    def made(content):
        (tmp_path / "run.trec").write_text(content)
        return Retrievers().of_run(RetrieverChoice(run=tmp_path / "run.trec", name="run.trec"))

    return made


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (RUN.replace("d1 1 3", "d1 1 1"), "rank and score contradict each other for 1 of 2 queries, first in line 2: trec_eval goes by the score and ignores the rank, and so does this result."),
        (RUN.replace("d1 1 3", "d1 1 2"), "documents with equal scores (in single precision) are ranked otherwise for 1 of 2 queries, first 'q1': trec_eval puts the greater id first, and so does this result."),
        (RUN.replace("d1 2 2 tool", "d1 2 2 other"), "the run has 2 tags, as if several were joined: 'tool', 'other'."),
        (RUN, "the longest list of the run has 2 documents: metrics at a larger k see no more."),
    ],
    ids=["ranks", "ties", "tags", "depth"],
)  # fmt: skip
def test_oddities_of_a_run_are_notes_on_its_score(task, system, content, says):
    """They are told with the score, which is trec_eval's."""
    result = Evaluator().result(task("faq"), system(content))
    assert says in result.details.notes


def test_a_run_is_known_by_its_content(task, system):
    """Its identity is the digest of the file, looked up again for each test; a file that is gone is an error."""
    first, same = system(RUN), system(RUN)
    assert first.identity == same.identity
    digest = first.identity.digest
    changed = system(RUN.replace(" 3 ", " 4 "))
    assert changed.identity.digest != digest
    assert first.identity.digest == digest
    first.renew()
    assert first.identity == changed.identity
    first._path.unlink()
    first.renew()
    with pytest.raises(DataError, match=r"run.trec can't be read: No such file"):
        first.identity  # noqa: B018


def test_a_retriever_has_no_vectors(system):
    """The fixture that asks for them says so."""
    with pytest.raises(SpecError, match=r"'retriever:run.trec' is a retriever: it finds documents, and has no vectors"):
        system(RUN).encode(["a"])


def test_a_run_is_of_one_part_of_a_task(task, system):
    """Queries of two subsets may have the same ids, which a run can't tell apart."""
    query = task("faq")
    with pytest.raises(
        TaskError,
        match=r"a run file has the rankings of one split and subset, and faq is evaluated on 2. Choose one with splits= and subsets=",
    ):
        searched(query, [find_task(query), find_task(query)], system(RUN))


def test_candidates_are_no_corpus(task, system):
    """A task that names the documents to rank for each query has nothing to search."""
    query = task("faq")
    found = find_task(query)
    found.dataset["default"]["test"]["top_ranked"] = {"q1": ["d1"]}
    with pytest.raises(
        TaskError, match=r"faq gives each query the documents to rank, and a retriever searches a whole corpus"
    ):
        searched(query, [found], system(RUN))


def test_documents_of_one_id_are_one_text(task):
    """Subsets may share documents, but an id that means two texts can't be indexed."""
    first, second = task("first"), task("second", prefix="other ")
    assert documents_of(first, [find_task(first), find_task(first)]) == {"d1": "corpus 1", "d2": "corpus 2"}
    with pytest.raises(
        TaskError,
        match=r"first has several documents with the id 'd1'. Choose a subset with subsets=, or a split with splits=",
    ):
        documents_of(first, [find_task(first), find_task(second)])
