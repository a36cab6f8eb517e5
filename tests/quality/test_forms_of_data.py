"""The same rows in each form that people have them give the same score, and what can't be read is named."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from datasets import Dataset
from tiny_data import OTHERS, TEXTS, write_dataset

from pytest_embedqa import bitext_task, pair_task, retrieval_task, sts_task
from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality.mteb.evaluation import evaluate
from pytest_embedqa.quality.task import TaskQuery

PAIRS = [
    {"sentence1": text, "sentence2": OTHERS[number * 5 % 12], "score": float(number * 7 % 6)}
    for number, text in enumerate(TEXTS)
]
LINES = "".join(json.dumps(row) + "\n" for row in PAIRS)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"


@pytest.fixture(scope="module")
def encoder():
    """The embedded model."""
    return load_encoder(parse_spec("builtin"), None)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """Nothing of the user's cache is read or written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(root, name, content, split="test"):
    """A dataset with one file, and the README that declares it unless ``split`` is empty."""
    folder = root / "mteb/stsbenchmark-sts"
    (folder / name).parent.mkdir(parents=True)
    if isinstance(content, Dataset):
        content.to_parquet(str(folder / name))
    else:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if split:
        (folder / "README.md").write_text(
            f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: {split}\n    path: {name}\n---\n"
        )


FORMS = {
    "gzip": ("test.jsonl.gz", gzip.compress(LINES.encode())),
    "parquet": ("data/test-00000-of-00001.parquet", Dataset.from_list(PAIRS)),
    "a plain folder": ("test.jsonl", LINES, ""),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_form_does_not_change_the_score(tmp_path, encoder, form):
    """Packed, as Parquet, and without a README: the score is that of plain JSON Lines."""
    write(tmp_path / "plain", "test.jsonl", LINES)
    write(tmp_path / "other", *form)
    right, score = (
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path / name).score() for name in ("plain", "other")
    )
    assert score == right


UNREADABLE = {
    "pointer in the place of JSON Lines": (
        ("test.jsonl", POINTER),
        r"test\.jsonl:1: a pointer of Git LFS stands here, not the data\. Run `git lfs pull` in .*stsbenchmark-sts, or remove it and fetch it with `embedqa fetch`\.$",
    ),
    "pointer in the place of Parquet": (("data/test-0.parquet", POINTER), r"test-0\.parquet:1: a pointer of Git LFS"),
    "pointer in the place of a table that takes it for its header": (("test.csv", POINTER), r"test\.csv:1: a pointer"),
    "script": (
        ("stsbenchmark-sts.py", "import datasets\n", ""),
        r"scripts are no longer supported.*stsbenchmark-sts\.py",
    ),
    "another column": (
        ("test.jsonl", LINES.replace("sentence1", "text1")),
        r"^mteb can't evaluate STSBenchmark on this data: ValueError: .*'sentence1'.*\(\w+\.py:\d+\)\. Compare its columns and their types with those of the public dataset\.$",
    ),
    "numbers as texts": (
        ("test.jsonl", re.sub(r'"score": ([\d.]+)', r'"score": "\1"', LINES)),
        r"^The column 'score' of STSBenchmark \(test, default\) holds texts; numbers are expected there\.$",
    ),
    "null as a text": (
        ("test.jsonl", LINES.replace(json.dumps(TEXTS[4]), "null").replace(json.dumps(TEXTS[7]), "null")),
        r"^The column 'sentence1' of STSBenchmark \(test, default\) has nothing \(null\) in 2 rows, first in row 5\.$",
    ),
    "null as a grade": (
        ("test.jsonl", LINES.replace('"score": 5.0', '"score": null')),
        r"^The column 'score' of STSBenchmark \(test, default\) has nothing \(null\) in 2 rows",
    ),
}


@pytest.mark.parametrize(("data", "says"), UNREADABLE.values(), ids=UNREADABLE)
def test_data_in_another_form_is_named(tmp_path, encoder, data, says):
    """What can't be evaluated is an error that names the file or the column, before anything is encoded."""
    write(tmp_path, *data)
    before = encoder.encoded
    with pytest.raises(DataError, match=says):
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path)
    assert encoder.encoded == before


def test_split_that_is_not_there_is_missing_data(tmp_path, encoder):
    """A folder with another split lacks data: which, and what it has."""
    write(tmp_path, "train.jsonl", LINES, split="train")
    with pytest.raises(
        MissingDataError, match=r"no data: STSBenchmark is evaluated on the split 'test', and the data has: train$"
    ):
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path)


@pytest.mark.parametrize("part", ["corpus", "queries"])
def test_null_in_a_retrieval_task_is_named(tmp_path, encoder, part):
    """A document or query without a text is told with its row."""
    texts = {
        name: [{"_id": f"{name[0]}{n}", "text": text} for n, text in enumerate(TEXTS)] for name in ("corpus", "queries")
    }
    texts[part][3]["text"] = None
    judged = [{"query-id": f"q{n}", "corpus-id": f"c{n}", "score": 1} for n in range(12)]
    write_dataset(
        tmp_path / "mteb/arguana", {name: {name: rows} for name, rows in texts.items()} | {"default": {"test": judged}}
    )
    with pytest.raises(
        DataError, match=rf"'text' of ArguAna \(test, default\), {part} has nothing \(null\) in 1 rows, first in row 4"
    ):
        evaluate(TaskQuery("ArguAna"), encoder, datasets=tmp_path)


def table(path, columns, rows):
    """Write a table of one's own."""
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in [columns, *rows]))
    return path


def test_own_documents_with_a_title_alone(tmp_path, encoder):
    """A corpus of titles scores as one of texts; negative grades and repeated lines do not change it."""
    scores = []
    for name, keys in (("texts", ("text", "title")), ("titles", ("title", "text"))):
        (tmp_path / name / "qrels").mkdir(parents=True)
        rows = [{"_id": f"d{n}", keys[0]: text, keys[1]: ""} for n, text in enumerate(TEXTS)]
        (tmp_path / name / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        rows = [{"_id": f"q{n}", "text": text} for n, text in enumerate(OTHERS)]
        (tmp_path / name / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        judged = [("query-id", "corpus-id", "score"), *((f"q{n}", f"d{n // 2}", 1) for n in range(12))]
        if name == "titles":
            judged += [("q0", "d1", -1), ("q1", "d2", -2), ("q3", "d1", 1)]
        (tmp_path / name / "qrels" / "test.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in judged))
        found = evaluate(TaskQuery(retrieval_task(tmp_path / name)), encoder)
        scores.append([found.score(metric) for metric in ("ndcg_at_10", "map_at_10", "recall_at_5", "mrr_at_10")])
    assert scores[0] == scores[1]
    assert 0 < scores[0][0] < 1


@pytest.mark.parametrize("value", [0, 1])
def test_pairs_of_one_label_tell_nothing_apart(tmp_path, encoder, value):
    """Of pairs that all have one label any encoder has the same average precision: an error, not 1.0."""
    path = table(
        tmp_path / "p.csv",
        ("sentence1", "sentence2", "label"),
        [(*pair, value) for pair in zip(TEXTS, OTHERS, strict=True)],
    )
    with pytest.raises(
        DataError,
        match=rf"^In all rows of p \(test, default\) the label is {value}: nothing can be told apart, and any encoder would score the same\. Give rows that differ, or choose a larger limit=\.$",
    ):
        evaluate(TaskQuery(pair_task(path)), encoder)


def test_sample_of_one_label_tells_nothing_apart(tmp_path, encoder):
    """The whole file has both labels; a sample that has drawn one of them alone is an error too."""
    pairs = [(TEXTS[n % 12], f"{OTHERS[n % 11]} {n}", int(n != 7)) for n in range(200)]
    path = table(tmp_path / "p.csv", ("sentence1", "sentence2", "label"), pairs)
    with pytest.raises(DataError, match=r"In all rows of p .* the label is 1: nothing can be told apart"):
        evaluate(TaskQuery(pair_task(path), limit=10), encoder)
    assert evaluate(TaskQuery(pair_task(path)), encoder).score() < 1


def test_grades_that_are_all_equal_have_no_correlation(tmp_path, encoder):
    """Equal grades, and a single row, have no correlation: an error, not NaN."""
    rows = [(*pair, 3) for pair in zip(TEXTS, OTHERS, strict=True)]
    for number, some in enumerate((rows, rows[:1])):
        path = table(tmp_path / f"s{number}.csv", ("sentence1", "sentence2", "score"), some)
        with pytest.raises(DataError, match=r"In all rows of s. .* the score is 3: nothing can be told apart"):
            evaluate(TaskQuery(sts_task(path)), encoder)


def test_single_translation_tells_nothing_apart(tmp_path, encoder):
    """One sentence is always found among one."""
    path = table(tmp_path / "b.csv", ("sentence1", "sentence2"), [("a red car", "ein rotes Auto")])
    with pytest.raises(DataError, match=r"^b \(test, default\) has one row: nothing can be told apart"):
        evaluate(TaskQuery(bitext_task(path)), encoder)


def test_instruction_by_kind_reaches_the_task(tmp_path):
    """mteb's own form of an instruction goes to queries and documents as it says."""
    from pytest_embedqa.quality.mteb.prompts import task_context
    from pytest_embedqa.quality.mteb.tasks import _own_class

    instruction = {"query": "Find the page", "document": "A page"}
    assert task_context(_own_class(retrieval_task(tmp_path, instruction=instruction), "")()).instruction == instruction


@pytest.mark.parametrize(
    ("content", "says"),
    [(POINTER, r"data/test\.jsonl:1: a pointer of Git LFS"), (LINES + "{\n", r"data/test\.jsonl:13: not valid JSON")],
)
def test_data_below_a_link_is_named_too(tmp_path, encoder, content, says):
    """Data may lie elsewhere, with a link to its folder: its files are named by the path that the task reads."""
    write(tmp_path, "data/test.jsonl", content)
    folder = tmp_path / "mteb/stsbenchmark-sts"
    (folder / "data").rename(tmp_path / "elsewhere")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=says):
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path)
