"""The same rows in each form that people have them give the same score, and what can't be read is named."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from datasets import Dataset, DatasetDict
from tiny_data import OTHERS, TEXTS, write_dataset

from pytest_embedqa import bitext_task, pair_task, retrieval_task, sts_task
from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality.mteb.evaluation import evaluate
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.task import TaskQuery

PAIRS = [
    {"sentence1": text, "sentence2": OTHERS[number * 5 % 12], "score": float(number * 7 % 6)}
    for number, text in enumerate(TEXTS)
]
LINES = "".join(json.dumps(row) + "\n" for row in PAIRS)
COMMAS, TABS = (
    "".join(sign.join(map(str, row)) + "\n" for row in [PAIRS[0], *(pair.values() for pair in PAIRS)]) for sign in ",\t"
)
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
    "CSV": ("test.csv", COMMAS, ""),
    "CSV of a spreadsheet": ("test.csv", b"\xef\xbb\xbf" + COMMAS.replace("\n", "\r\n").encode(), ""),
    "packed CSV": ("test.csv.gz", gzip.compress(COMMAS.encode()), ""),
    "TSV": ("test.tsv", TABS, ""),
    "a list in JSON": ("test.json", json.dumps(PAIRS), ""),
    "parquet": ("data/test-00000-of-00001.parquet", Dataset.from_list(PAIRS)),
    "a plain folder": ("test.jsonl", LINES, ""),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_form_does_not_change_the_score(tmp_path, encoder, form):
    """Packed, as a table or Parquet, and without a README: the score is that of plain JSON Lines."""
    write(tmp_path / "plain", "test.jsonl", LINES)
    write(tmp_path / "other", *form)
    right, score = (
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path / name).score() for name in ("plain", "other")
    )
    assert score == right


def test_splits_that_were_saved_to_disk(tmp_path, encoder):
    """What `datasets` wrote to disk is read: all splits together, or one in a folder of its name. One split alone says how."""
    write(tmp_path / "plain", "test.jsonl", LINES)
    rows, folders = Dataset.from_list(PAIRS), {}
    for name in ("together", "named", "alone"):
        folders[name] = tmp_path / name / "mteb/stsbenchmark-sts"
        folders[name].mkdir(parents=True)
    DatasetDict({"test": rows, "train": rows}).save_to_disk(folders["together"])
    rows.save_to_disk(folders["named"] / "test")
    rows.save_to_disk(folders["alone"])
    right, together, named = (
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path / name).score()
        for name in ("plain", "together", "named")
    )
    assert together == named == right
    with pytest.raises(
        DataError,
        match=r"stsbenchmark-sts is a single split, written by save_to_disk\(\) of `datasets`\. Move it into a folder named after the split, e\.g\. .*/test\.$",
    ):
        evaluate(TaskQuery("STSBenchmark"), encoder, datasets=tmp_path / "alone")


UNREADABLE = {
    "another encoding": (
        ("test.csv", COMMAS.replace("harbour", "harbör").encode("latin-1"), ""),
        r"/test\.csv:2: not UTF-8: invalid start byte at byte 12 of the line\.$",
    ),
    "half a character": (
        ("test.jsonl", LINES.replace("harbour", r"harb\ud83d"), ""),
        r"/test\.jsonl:1: 'sentence1' holds half of a character \(\\ud83d\): the text was cut within it\.$",
    ),
    "cut short": (
        ("test.jsonl.gz", gzip.compress(LINES.encode())[:-20], ""),
        r"/test\.jsonl\.gz can't be unpacked: .* Pack it again\.$",
    ),
    "broken Parquet": (
        ("test.parquet", b"PAR1....", ""),
        r"/test\.parquet is not a Parquet file, or is incomplete\. Fetch it again\.$",
    ),
    "Parquet without a row": (
        ("test.parquet", Dataset.from_dict({"sentence1": [], "sentence2": [], "score": []}), ""),
        r"/test\.parquet has no rows\. Give it at least one\.$",
    ),
    "a card that is no YAML": (
        ("test.jsonl", LINES, "["),
        r"stsbenchmark-sts: its card, the YAML at the top of README\.md, can't be read: (?!while).* Fix it\.$",
    ),
    "nothing": (("test.jsonl", "", ""), r"/test\.jsonl is empty\. Give it at least one row\.$"),
    "NaN as a grade": (
        ("test.jsonl", LINES.replace('"score": 5.0', '"score": NaN', 1), ""),
        r"^The column 'score' of STSBenchmark \(test, default\) has NaN or infinity, first in row 6\.$",
    ),
    "infinity as a grade": (
        ("test.jsonl", LINES.replace('"score": 5.0', '"score": Infinity', 1), ""),
        r"^The column 'score' of STSBenchmark \(test, default\) has NaN or infinity, first in row 6\.$",
    ),
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
        r"^The column 'sentence1' of STSBenchmark \(test, default\) is null in 2 rows, first in row 5\.$",
    ),
    "null as a grade": (
        ("test.jsonl", LINES.replace('"score": 5.0', '"score": null')),
        r"^The column 'score' of STSBenchmark \(test, default\) is null in 2 rows",
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
        DataError, match=rf"'text' of ArguAna \(test, default\), {part} is null in 1 rows, first in row 4"
    ):
        evaluate(TaskQuery("ArguAna"), encoder, datasets=tmp_path)


def asked(*judged, corpus=()):
    """A retrieval task of twelve documents and queries with judgements (query, document, grade)."""
    documents = [(f"d{n}", text) for n, text in enumerate(TEXTS)]
    return {
        "corpus": {"corpus": [{"_id": id_, "title": "", "text": text} for id_, text in [*documents, *corpus]]},
        "queries": {"queries": [{"_id": f"q{n}", "text": text} for n, text in enumerate(OTHERS)]},
        "default": {"test": [{"query-id": q, "corpus-id": d, "score": grade} for q, d, grade in judged]},
    }


@pytest.mark.parametrize("place", ["corpus", "judgement"])
def test_id_that_trec_eval_reads_as_another_is_named(tmp_path, encoder, place):
    """An id with a NUL byte ends there for trec_eval, whoever made the data."""
    more = {"corpus": [("nul\0", "more")]} if place == "corpus" else {}
    judged = [("q1", "d1", 1), *([("q1", "nul\0", 1)] if place == "judgement" else [])]
    write_dataset(tmp_path / "mteb/scifact", asked(*judged, **more))
    with pytest.raises(
        DataError,
        match=r"^The id 'nul\\x00' of SciFact \(test, default\) holds a NUL byte, at which trec_eval ends an id\. Rename it\.$",
    ):
        evaluate(TaskQuery("SciFact"), encoder, datasets=tmp_path)


def test_judged_query_that_is_not_asked(tmp_path, encoder):
    """Judgements of another part of the queries change nothing, as in mteb."""
    scores = []
    for name, more in (("plain", []), ("more", [("elsewhere", "d5", 1)])):
        write_dataset(tmp_path / name / "mteb/scifact", asked(*((f"q{n}", f"d{n}", 1) for n in range(12)), *more))
        found = evaluate(TaskQuery("SciFact"), encoder, datasets=tmp_path / name)
        scores.append((found.score(), found.score("spearman")))
    assert scores[0] == scores[1]


def rows_of(labels, column="label"):
    """Texts that differ, with these labels."""
    return [{"text": f"{TEXTS[n % 12]} {n}", column: label} for n, label in enumerate(labels)]


RARE = [int(n == 7) for n in range(200)]
SAMPLES_OF_NOTHING = {
    "one class of two": (
        "ImdbClassification",
        {"default": {"train": rows_of([0, 1] * 20), "test": rows_of(RARE)}},
        r"In all rows of ImdbClassification \(test, default\) the label is 0",
    ),
    "one class of several": (
        "BrazilianToxicTweetsClassification",
        {"default": {"train": rows_of([[0], [1, 2]] * 20), "test": rows_of([[one] for one in RARE])}},
        r"In all rows of BrazilianToxicTweetsClassification \(.*\) the label is \[0\]",
    ),
    "one cluster": (
        "MedrxivClusteringS2S.v2",
        {"default": {"test": [{"sentences": [row["text"] for row in rows_of(RARE)], "labels": list(map(str, RARE))}]}},
        r"In all rows of MedrxivClusteringS2S\.v2 \(test, default\) the labels is 0",
    ),
    "each a cluster of its own": (
        "MedrxivClusteringS2S.v2",
        {
            "default": {
                "test": [{"sentences": [row["text"] for row in rows_of(RARE)], "labels": [str(n) for n in range(200)]}]
            }
        },
        r"No two rows of MedrxivClusteringS2S\.v2 \(test, default\) have the same labels",
    ),
    "nothing relevant": (
        "SciFact",
        asked(*((f"q{n}", f"d{n}", int(n == 3)) for n in range(12))),
        r"No document is relevant for any query of SciFact \(test, default\)",
    ),
}


@pytest.mark.parametrize(("task", "data", "says"), SAMPLES_OF_NOTHING.values(), ids=SAMPLES_OF_NOTHING)
def test_sample_in_which_nothing_can_be_told_apart(tmp_path, encoder, task, data, says):
    """A sample of one class, of clusters of one text, or without a relevant document is an error that names it."""
    write_dataset(tmp_path / find_task(TaskQuery(task)).metadata.dataset["path"], data)
    before = encoder.encoded
    with pytest.raises(
        DataError,
        match=rf"^{says}: nothing can be told apart, and any encoder would score the same\. .* larger limit=\.$",
    ):
        evaluate(TaskQuery(task, limit=5), encoder, datasets=tmp_path)
    assert encoder.encoded == before


def test_sample_of_a_clustering_task_is_clustered_whole(tmp_path, encoder):
    """Of a task that clusters four texts in a hundred, a sample is not cut down to that share again."""
    texts = [f"sampled {text} {n}" for n in range(50) for text in TEXTS]
    name = "MedrxivClusteringS2S.v2"
    write_dataset(
        tmp_path / find_task(TaskQuery(name)).metadata.dataset["path"],
        {"default": {"test": [{"sentences": texts, "labels": [str(n % 5) for n in range(600)]}]}},
    )
    found = evaluate(TaskQuery(name, limit=15), encoder, datasets=tmp_path)
    assert found.encoded == 15
    assert 0 < found.score() < 1


def test_sample_of_a_missing_split_is_missing_data(tmp_path, encoder):
    """With limit=, too, a folder with another split lacks data."""
    write(tmp_path, "train.jsonl", LINES, split="train")
    with pytest.raises(MissingDataError, match=r"on the split 'test', and the data has: train$"):
        evaluate(TaskQuery("STSBenchmark", limit=5), encoder, datasets=tmp_path)


def test_documents_that_are_all_as_relevant_tell_nothing_apart(tmp_path, encoder):
    """Where each document answers each query any ranking is the best one."""
    (tmp_path / "faq" / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", TEXTS[:2]), ("queries", OTHERS[:2])):
        rows = "".join(json.dumps({"_id": f"{name[0]}{n}", "text": text}) + "\n" for n, text in enumerate(texts))
        (tmp_path / "faq" / f"{name}.jsonl").write_text(rows)
    judged = "".join(f"q{query}\tc{document}\t1\n" for query in range(2) for document in range(2))
    (tmp_path / "faq" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    with pytest.raises(
        DataError,
        match=r"^Each document of faq \(test, default\) is as relevant as any other: nothing can be told apart",
    ):
        evaluate(TaskQuery(retrieval_task(tmp_path / "faq")), encoder)


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


@pytest.mark.parametrize("column", ["sentence1", "sentence2"])
def test_translations_of_one_text_tell_nothing_apart(tmp_path, encoder, column):
    """Where a column is one text in all rows, any encoder finds as many."""
    columns = ("sentence1", "sentence2") if column == "sentence1" else ("sentence2", "sentence1")
    path = table(tmp_path / "b.csv", columns, [("a red car", text) for text in TEXTS])
    with pytest.raises(DataError, match=rf"^In all rows of b \(test, default\) the {column} is a red car: nothing"):
        evaluate(TaskQuery(bitext_task(path)), encoder)


def test_instruction_by_kind_reaches_the_task(tmp_path):
    """mteb's own form of an instruction goes to queries and documents as it says."""
    from pytest_embedqa.quality.mteb.prompts import task_context
    from pytest_embedqa.quality.mteb.tasks import own_class

    instruction = {"query": "Find the page", "document": "A page"}
    assert task_context(own_class(retrieval_task(tmp_path, instruction=instruction), "")()).instruction == instruction


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
