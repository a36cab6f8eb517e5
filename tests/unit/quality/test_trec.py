"""TREC run files are read as trec_eval reads them, and what it would drop or overwrite is named with its line."""

from __future__ import annotations

import gzip

import pytest
import pytrec_eval

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.quality.retrievers.trec import read_run

LINES = "q1 Q0 d1 1 9.5 mine\nq1\t0\td2\t2\t7e0\tmine\n\nq2 Q0 d1 0 -1 mine\n"


@pytest.fixture
def run_file(tmp_path):
    """Write a run file."""

    def write(content, name="run.trec"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES.replace("\n", "\r\n"),
        gzip.compress(LINES.encode(), mtime=0),
        b"\xef\xbb\xbf" + LINES.encode(),
        LINES.rstrip("\n"),
    ],
    ids=["plain", "of Windows", "gzipped", "with a byte order mark", "without a last line break"],
)
def test_a_run_is_read_as_pytrec_eval_reads_it(run_file, content):
    """The scores by document and query are those of pytrec_eval's own reader, whatever the file's ends and packing are."""
    expected = pytrec_eval.parse_run(line for line in LINES.splitlines() if line)
    found = read_run(run_file(content))
    assert found.rankings == expected
    assert (found.depth, found.lines, list(found.tags)) == (2, {"q1": 1, "q2": 4}, ["mine"])
    assert not found.ranked_otherwise
    assert not found.ties


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("q1 Q0 d1 1 9.5 mine\nq1 d2 2 7 mine\n", r"run.trec:2: 5 fields, and a run has 6: QUERY Q0 DOCUMENT RANK SCORE TAG; here it is 'q1 d2"),
        ("q1 Q0 d1 1 9.5 my system\n", r"run.trec:1: 7 fields"),
        ("q1 Q0 d1 first 9.5 mine\n", r"run.trec:1: a rank is a whole number, but it is 'first'"),
        ("q1 Q0 d1 1.0 9.5 mine\n", r"run.trec:1: a rank is a whole number, but it is '1.0'"),
        ("q1 Q0 d1 1 nan mine\n", r"run.trec:1: a score is a finite number, but it is 'nan'"),
        ("q1 Q0 d1 1 inf mine\n", r"run.trec:1: a score is a finite number"),
        ("q1 Q0 d1 1 1e39 mine\n", r"run.trec:1: a score is a finite number, but it is '1e39'"),
        ("q1 Q0 d1 1 1_000 mine\n", r"run.trec:1: a score is a finite number, but it is '1_000'"),
        ("q1 Q0 d1 1 0,5 mine\n", r"run.trec:1: a score is a finite number, but it is '0,5'"),
        ("q1 Q0 d1 1 2 m\nq2 Q0 d1 1 2 m\nq1 Q0 d1 2 1 m\n", r"run.trec:3: 'd1' stands here for the second time for 'q1', first in line 1"),
        ("q1 Q0 - 0 0 m\nq1 Q0 d1 1 1 m\n", r"run.trec:1: '-' stands for a query without an answer, and 'q1' has one"),
        ("q1 Q0 d\x001 1 2 m\n", r"run.trec:1: a NUL byte, at which trec_eval ends an id"),
        (b"q1 Q0 d1 1 2 m\nq1 Q0 d\xe9 2 1 m\n", r"run.trec:2: it is not UTF-8 \(.*\). Save it as UTF-8"),
        ("\n\n", r"run.trec is empty. A run has a line for each document found: QUERY Q0"),
        (gzip.compress(LINES.encode(), mtime=0)[:-9], r"run.trec is gzipped, and broken after line \d+: .*Write it again"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(run_file, content, says):
    """The error names file and line, and what is wrong there: nothing is skipped, filled in or overwritten."""
    with pytest.raises(DataError, match=says):
        read_run(run_file(content))


def test_a_file_that_can_not_be_opened_is_an_error(tmp_path):
    """A folder is no run."""
    with pytest.raises(DataError, match=r"can't be read: Is a directory"):
        read_run(tmp_path)


def test_ranks_that_contradict_scores_are_noted(run_file):
    """The first line in which a score is higher than at the rank before is kept, in whatever order the lines stand."""
    found = read_run(run_file("q1 Q0 b 2 0.9 m\nq1 Q0 a 1 0.2 m\nq2 Q0 a 1 3 m\nq2 Q0 b 2 2 m\n"))
    assert found.ranked_otherwise == {"q1": 1}


def test_equal_scores_are_noted_where_trec_eval_orders_them_otherwise(run_file):
    """It puts the greater id first, and compares in single precision: scores that differ only beyond it are equal."""
    order = {"greater id first": "q1 Q0 b 1 2 m\nq1 Q0 a 2 2 m\n", "smaller first": "q1 Q0 a 1 2 m\nq1 Q0 b 2 2 m\n"}
    assert read_run(run_file(order["greater id first"])).ties == []
    assert read_run(run_file(order["smaller first"])).ties == ["q1"]
    close = read_run(run_file("q1 Q0 a 1 1.000000002 m\nq1 Q0 b 2 1.000000001 m\n"))
    assert close.ties == ["q1"]
    evaluator = pytrec_eval.RelevanceEvaluator({"q1": {"a": 1}}, {"recip_rank"})
    assert evaluator.evaluate({"q1": {"a": 1.000000002, "b": 1.000000001}})["q1"]["recip_rank"] == 0.5
    assert evaluator.evaluate(close.rankings)["q1"]["recip_rank"] == 0.5


def test_a_rank_that_is_always_the_same_says_nothing(run_file):
    """Some tools write 0 or 1 in each line: the order of the lines is then compared with the scores."""
    found = read_run(run_file("q1 Q0 b 0 2 m\nq1 Q0 a 0 1 m\n"))
    assert not found.ranked_otherwise
