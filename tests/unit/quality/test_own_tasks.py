"""A user's own files: each good form is read, and each bad line is named with file and line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.quality import own_tasks
from pytest_embedqa.quality.own_tasks import (
    OwnTask,
    bitext_task,
    pair_task,
    read_pairs,
    retrieval_task,
    sts_task,
)


def read_retrieval(task):
    """All that is read of a folder, the corpus to its end."""
    corpus, queries, qrels = own_tasks.read_retrieval(task)
    return list(corpus), queries, qrels


PAIRS = [("Ein Hund, der bellt", "a dog", 4.5), ("Straße", "street \N{SNOWMAN}", 0), ("a", "b", 5)]

CORPUS = [
    '{"_id": "d1", "title": "T", "text": "first"}',
    '{"id": "d2", "text": "second"}',
    '{"_id": "d3", "text": "third"}',
]
QUERIES = ['{"_id": "q1", "text": "one?"}', '{"_id": "q2", "text": "two?"}']
QRELS = ["query-id\tcorpus-id\tscore", "q1\td1\t1", "q1\td2\t0", "q2\td3\t2"]
READ = {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}


def write_pairs(path, rows, columns=("sentence1", "sentence2", "score"), encoding="utf-8"):
    """Write rows in the format of the suffix."""
    with path.open("w", encoding=encoding, newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(dict(zip(columns, row, strict=False))) + "\n" for row in rows)
        else:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerows([columns, *rows])
    return path


@pytest.fixture
def beir(tmp_path):
    """Write a BEIR-style folder, some of its files with other lines (``None``: no such file)."""

    def write(corpus=CORPUS, queries=QUERIES, qrels=QRELS, qrels_file="qrels/test.tsv"):
        folder = tmp_path / "faq"
        (folder / qrels_file).parent.mkdir(parents=True)
        for name, lines in (("corpus.jsonl", corpus), ("queries.jsonl", queries), (qrels_file, qrels)):
            if lines is not None:
                (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return retrieval_task(folder)

    return write


def says(path, line, problem):
    """A pattern for the whole of an error at a place."""
    return f"^{re.escape(f'{path}:{line}: {problem}.')}$"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
def test_pairs_are_read_from_each_format(tmp_path, suffix, encoding):
    """JSONL, CSV and TSV give the same rows, with or without the byte-order mark that spreadsheets write."""
    path = write_pairs(tmp_path / f"pairs{suffix}", PAIRS, encoding=encoding)
    assert read_pairs(sts_task(path)) == [
        {"sentence1": first, "sentence2": second, "score": score} for first, second, score in PAIRS
    ]


def test_quotes_in_csv(tmp_path):
    """In CSV quotes enclose a field, which may hold commas and line breaks."""
    (tmp_path / "a.csv").write_text('sentence1,sentence2\n"one, two","say ""hi""\nthere"\nnext,row\n')
    assert read_pairs(bitext_task(tmp_path / "a.csv")) == [
        {"sentence1": "one, two", "sentence2": 'say "hi"\nthere'},
        {"sentence1": "next", "sentence2": "row"},
    ]


@pytest.mark.parametrize(
    ("rows", "read"),
    [
        (['"half a quote\tsay "hi"'], [('"half a quote', 'say "hi"')]),
        (['"said ""hi"""\t"plain"', "b\tc"], [('said "hi"', "plain"), ("b", "c")]),
        (['"one\tfield"\tb'], [("one\tfield", "b")]),
        (['"said ""hi"""\tb', '"Hi" she said\tc'], [('"said ""hi"""', "b"), ('"Hi" she said', "c")]),
        (
            ['b\t"I am here.', 'c\tI go."', '"So" it went\td'],
            [("b", '"I am here.'), ("c", 'I go."'), ('"So" it went', "d")],
        ),
    ],
    ids=["plain", "written by csv", "tab in quotes", "plain by a later row", "quotes over rows, plain by a later row"],
)
def test_quotes_in_tsv(tmp_path, rows, read):
    """Quotes enclose a field where the whole file keeps CSV's rules, as pandas reads it; else they are characters of the text."""
    (tmp_path / "a.tsv").write_text("\n".join(["sentence1\tsentence2", *rows, ""]))
    pairs = read_pairs(bitext_task(tmp_path / "a.tsv"))
    assert [(pair["sentence1"], pair["sentence2"]) for pair in pairs] == read


def test_quote_over_rows_of_a_tsv_is_named(tmp_path):
    """A quote that opens in one row and is closed in another may be one text or several rows: neither is guessed."""
    path = tmp_path / "a.tsv"
    path.write_text('sentence1\tsentence2\na\tb\n\nb\t"I am here.\nc\td\ne\tI go."\nf\t"g\nh"\n')
    problem = "a quote opens here and is closed in line 6: one text, or several rows. Save the file as .csv or .jsonl, where it is clear"
    with pytest.raises(DataError, match=says(path, 4, problem)):
        read_pairs(bitext_task(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "sentence1,sentence2\na,b\n"),
        ("a.CSV", "\ufeffsentence1,sentence2\r\na,b\r\n\r\n"),
        ("a.csv", "\nsentence2,note,sentence1\n\nb,,a\n\n"),
        ("a.TSV", "sentence1\tsentence2\t\t\na\tb\t\t\n"),
        ("a.tsv", "sentence1\tsentence2\na\tb\t\t\n"),
        ("a.tsv", '"sentence1"\t"sentence2"\n"a"\t"b"\n'),
        ("a.Jsonl", '{"sentence2": "b", "sentence1": "a"}\r\n\r\n'),
    ],
)
def test_forms_that_say_the_same(tmp_path, name, content):
    """Byte-order mark, line ends, blank lines, order of columns, empty columns, quotes and case of the suffix change no row."""
    (tmp_path / name).write_text(content, newline="")
    assert read_pairs(bitext_task(tmp_path / name)) == [{"sentence1": "a", "sentence2": "b"}]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_long_text_is_read(tmp_path, suffix):
    """A whole chapter in a field is a text like another."""
    path = write_pairs(tmp_path / f"long{suffix}", [("word " * 50_000, "short")], columns=("sentence1", "sentence2"))
    assert len(read_pairs(bitext_task(path))[0]["sentence1"]) == 250_000


def test_each_type_keeps_its_columns_alone(tmp_path):
    """Further columns are ignored; labels and grades become numbers."""
    columns = ("sentence1", "sentence2", "score", "label", "comment")
    path = write_pairs(tmp_path / "a.csv", [("a", "b", "2.5", "1", "")], columns)
    pair = {"sentence1": "a", "sentence2": "b"}
    assert read_pairs(sts_task(path)) == [{**pair, "score": 2.5}]
    assert read_pairs(pair_task(path)) == [{**pair, "label": 1.0}]
    assert read_pairs(bitext_task(path)) == [pair]


BAD_ROWS = {
    "blank": (
        sts_task,
        {"sentence1": " ", "sentence2": "b", "score": 1},
        "'sentence1' must be a text that is not blank, but it is ' '",
    ),
    "no text": (
        sts_task,
        {"sentence1": "a", "sentence2": 7, "score": 1},
        "'sentence2' must be a text that is not blank, but it is 7",
    ),
    "missing": (
        sts_task,
        {"sentence1": "a", "text": "b", "score": 1},
        "'sentence2' is missing; there are sentence1, text, score",
    ),
    "null": (
        bitext_task,
        {"sentence1": None, "sentence2": "b"},
        "'sentence1' is missing; there are sentence1, sentence2",
    ),
    "no score": (sts_task, {"sentence1": "a", "sentence2": "b"}, "'score' must be a number, but it is None"),
    "words": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": "high"},
        "'score' must be a number, but it is 'high'",
    ),
    "too high": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": 5.1},
        "score lies outside (0.0, 5.0), but it is 5.1",
    ),
    "too low": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": -1},
        "score lies outside (0.0, 5.0), but it is -1",
    ),
    "NaN": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": "nan"},
        "'score' must be a number, but it is 'nan'",
    ),
    "label": (pair_task, {"sentence1": "a", "sentence2": "b", "label": 2}, "label must be 0 or 1, but it is 2"),
    "hundreds of digits": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": 10**400},
        f"'score' must be a number, but it is 1{'0' * 39}",
    ),
    "comma as decimal point": (
        sts_task,
        {"sentence1": "a", "sentence2": "b", "score": "4,5"},
        "'score' must be a number, but it is '4,5'",
    ),
    "NaN label": (
        pair_task,
        {"sentence1": "a", "sentence2": "b", "label": "nan"},
        "'label' must be a number, but it is 'nan'",
    ),
}


@pytest.mark.parametrize(("make", "row", "problem"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_pair_is_named_with_file_and_line(tmp_path, make, row, problem):
    """The first wrong row is an error that leads an editor to its line, blank lines before it counted."""
    good = {"sentence1": "a", "sentence2": "b", "score": 1, "label": 1}
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{json.dumps(good)}\n\n{json.dumps(row)}\n{json.dumps(good)}\n")
    with pytest.raises(DataError, match=says(path, 3, problem)):
        read_pairs(make(path))


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("sentence1,sentence2,score\na,b,1\n\na,b\n", 4, "'score' must be a number, but it is None"),
        (
            'sentence1,sentence2,score\n"a\nb",c,1\na,,1\n',
            4,
            "'sentence2' must be a text that is not blank, but it is ''",
        ),
        (
            "sentence1;sentence2;score\na;b;1\n",
            1,
            "the header has one column, 'sentence1;sentence2;score': put a comma between columns",
        ),
        ("a,b,1\nc,d,2\n", 2, "'sentence1' is missing; there are a, b, 1"),
        (
            "sentence1,sentence2,score\na,b,1,\na,well, b,1\n",
            3,
            "more fields than the header names; in CSV a text with a comma needs quotes",
        ),
        (
            "sentence1,sentence2,score,sentence1\na,b,1,c\n",
            1,
            "the header names 'sentence1' twice; keep one",
        ),
        (
            'sentence1,sentence2,score\na,b,1\n\na,"b,1\nc,d,2\n',
            4,
            "the row that begins here can't be read: unexpected end of data. In CSV a quote within a quoted text is written twice",
        ),
        (
            'sentence1,sentence2,score\n"so" he said,b,1\n',
            2,
            "the row that begins here can't be read: ',' expected after '\"'. In CSV a quote within a quoted text is written twice",
        ),
    ],
    ids=[
        "short row",
        "after a field of two lines",
        "semicolons",
        "no header",
        "comma without quotes",
        "column twice",
        "quote that is never closed",
        "text behind a quote",
    ],
)
def test_bad_csv_row_is_named_with_file_and_line(tmp_path, content, line, problem):
    """Lines of a CSV file are counted as an editor does, header and line breaks in fields included."""
    path = tmp_path / "pairs.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=says(path, line, problem)):
        read_pairs(sts_task(path))


def test_grades_follow_the_range_of_the_task(tmp_path):
    """Another scale is declared with the task, its ends included."""
    path = write_pairs(tmp_path / "a.csv", [("a", "b", -1), ("a", "b", 1)])
    assert [row["score"] for row in read_pairs(sts_task(path, score_range=(-1, 1)))] == [-1, 1]
    with pytest.raises(DataError, match=says(path, 2, "score lies outside (0, 1), but it is -1")):
        read_pairs(sts_task(path, score_range=(0, 1)))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"sentence1": "a"', "not valid JSON: Expecting ',' delimiter at column 18"),
        ('{"sentence1": "a\t"}', "not valid JSON: Invalid control character at column 18"),
        ('["a", "b"]', "a JSON object is expected, not a list"),
        ('"a"', "a JSON object is expected, not a str"),
    ],
)
def test_line_that_is_no_json_object_is_named(tmp_path, line, problem):
    """Broken JSON is shown with its column, other JSON with what it is."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(f'{{"sentence1": "a", "sentence2": "b"}}\n{line}\n')
    with pytest.raises(DataError) as error:
        read_pairs(bitext_task(path))
    assert re.sub(r"column \d+", "column 18", str(error.value)) == f"{path}:2: {problem}."


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("absent.csv", None, "absent.csv does not exist (or is not a file)."),
        ("pairs.xlsx", b"x", "pairs.xlsx: only .jsonl, .csv and .tsv files are read."),
        (
            "latin.csv",
            "sentence1,sentence2\nStraße,b\n".encode("latin-1"),
            "latin.csv is not UTF-8: invalid continuation byte at byte",
        ),
        (
            "utf16.csv",
            "sentence1,sentence2\na,b\n".encode("utf-16"),
            "utf16.csv is not UTF-8: invalid start byte at byte 0. Save it as UTF-8.",
        ),
    ],
)
def test_file_that_can_not_be_read_is_named(tmp_path, name, content, problem):
    """A file that is missing, of another format or in another encoding is told with its path."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{tmp_path}/{problem}')}"):
        read_pairs(bitext_task(tmp_path / name))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that can't be read, for root neither")
@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_file_that_the_system_does_not_let_be_read(beir, name):
    """What the system says of a file that is there is told with its path."""
    path = beir().path / name
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path} can')}'t be read: Input/output error\\.$"):
        own_tasks.files_of(retrieval_task(path.parents[path.parent.name == "qrels"]))


@pytest.mark.parametrize(
    ("inside", "hint"), [("pairs.tsv", ""), ("corpus.jsonl", " Such a folder is for retrieval_task.")]
)
def test_folder_is_no_pair_file(tmp_path, inside, hint):
    """A folder where a file is expected is called one, and told where a folder of its kind belongs."""
    (tmp_path / inside).touch()
    with pytest.raises(DataError) as error:
        read_pairs(bitext_task(tmp_path))
    assert str(error.value) == f"{tmp_path} is a folder, and a file was expected.{hint}"


@pytest.mark.parametrize(
    ("suffix", "content"), [(".jsonl", ""), (".jsonl", "\n\n"), (".csv", ""), (".csv", "sentence1,sentence2\n")]
)
def test_pair_file_without_rows_is_an_error(tmp_path, suffix, content):
    """No data is an error, as for a corpus; it is not an empty task that something scores later."""
    path = tmp_path / f"pairs{suffix}"
    path.write_text(content)
    with pytest.raises(DataError, match=re.escape(f"{path} is empty. Give it at least one row.")):
        read_pairs(bitext_task(path))


def test_retrieval_folder_is_read(beir):
    """Corpus, queries and judgements; ids under ``_id`` or ``id``, the title optional."""
    corpus, queries, qrels = read_retrieval(beir())
    assert corpus == [
        {"id": "d1", "title": "T", "text": "first"},
        {"id": "d2", "title": "", "text": "second"},
        {"id": "d3", "title": "", "text": "third"},
    ]
    assert [query["id"] for query in queries] == ["q1", "q2"]
    assert qrels == READ


@pytest.mark.parametrize("qrels_file", ["qrels/test.jsonl", "qrels.tsv", "qrels/test.tsv"])
def test_qrels_stand_in_one_of_three_places(beir, qrels_file):
    """Judgements are found as BEIR and as the Hub keep them."""
    lines = QRELS
    if qrels_file.endswith(".jsonl"):
        rows = [dict(zip(QRELS[0].split("\t"), line.split("\t"), strict=True)) for line in QRELS[1:]]
        lines = [json.dumps({**row, "score": int(row["score"])}) for row in rows]
    assert read_retrieval(beir(qrels=lines, qrels_file=qrels_file))[2] == READ


def test_ids_as_numbers(beir):
    """A whole number is its digits, in whichever file it stands, as mteb reads it."""
    corpus, queries, qrels = read_retrieval(
        beir(
            corpus=['{"_id": 1, "text": "one"}', '{"_id": "02", "text": "two"}'],
            queries=['{"_id": 7, "text": "seven?"}'],
            qrels=['{"query-id": "7", "corpus-id": 1, "score": 1}', '{"query-id": 7, "corpus-id": "02", "score": 0}'],
            qrels_file="qrels/test.jsonl",
        )
    )
    assert [document["id"] for document in corpus] == ["1", "02"]
    assert [query["id"] for query in queries] == ["7"]
    assert qrels == {"7": {"1": 1, "02": 0}}


def test_qrels_without_a_split_are_those_of_the_test_split(beir):
    """A split that has no file is not answered with a file for no split in particular."""
    task = beir(qrels_file="qrels.tsv")
    with pytest.raises(DataError, match=r"Expected one of: [^ ]*/qrels/dev\.tsv, [^ ]*/qrels/dev\.jsonl\.$"):
        read_retrieval(retrieval_task(task.path, split="dev"))


def test_split_chooses_the_qrels(beir):
    """Another split has its own judgements of the same corpus."""
    task = beir(qrels_file="qrels/dev.tsv")
    assert read_retrieval(retrieval_task(task.path, split="dev"))[2] == READ
    with pytest.raises(DataError, match=re.escape("test.tsv")):
        read_retrieval(task)


def test_folder_without_qrels_lists_where_they_are_expected(beir):
    """Missing judgements are told with every place that was looked at."""
    task = beir(qrels=None)
    places = ", ".join(str(task.path / name) for name in ("qrels/test.tsv", "qrels/test.jsonl", "qrels.tsv"))
    with pytest.raises(
        DataError, match=f"^{re.escape(f'{task.path} has no relevance judgements. Expected one of: {places}.')}$"
    ):
        read_retrieval(task)


@pytest.mark.parametrize("missing", ["corpus", "queries"])
def test_missing_file_of_a_retrieval_task_is_named(beir, missing):
    """Corpus and queries are both needed."""
    with pytest.raises(DataError, match=rf"/faq/{missing}\.jsonl does not exist"):
        read_retrieval(beir(**{missing: None}))


@pytest.mark.parametrize("name", ["absent", "file.jsonl"])
def test_retrieval_task_must_be_a_folder(tmp_path, name):
    """A path that is no folder is told with what the folder must hold."""
    (tmp_path / "file.jsonl").touch()
    with pytest.raises(
        DataError, match=rf"{name} is not a folder\. .*corpus\.jsonl, queries\.jsonl and qrels/dev\.tsv\.$"
    ):
        read_retrieval(retrieval_task(tmp_path / name, split="dev"))


BAD_FOLDERS = {
    "unknown query": ({"qrels": [*QRELS, "q9\td1\t1"]}, "qrels/test.tsv", 5, "'q9' is not in queries.jsonl"),
    "unknown document": ({"qrels": [*QRELS, "q1\td9\t1"]}, "qrels/test.tsv", 5, "'d9' is not in corpus.jsonl"),
    "no header": ({"qrels": QRELS[1:]}, "qrels/test.tsv", 2, "'query-id' is missing; there are q1, d1, 1"),
    "blanks for tabs": (
        {"qrels": [row.replace("\t", " ") for row in QRELS]},
        "qrels/test.tsv",
        1,
        "the header has one column, 'query-id corpus-id score': put a tab between columns",
    ),
    "short row": ({"qrels": [*QRELS, "q1\td1"]}, "qrels/test.tsv", 5, "'score' must be a number, but it is None"),
    "judged twice": (
        {"qrels": [*QRELS, "q1\td1\t1", "q1\td2\t3"]},
        "qrels/test.tsv",
        6,
        "'d2' is judged 3 for 'q1' here, and 0 before; keep one",
    ),
    "nothing relevant": (
        {"qrels": [*QRELS[:3], "q2\td3\t0", "q2\td1\t-1"]},
        "qrels/test.tsv",
        4,
        "no document is relevant for 'q2', so that any encoder scores 0 with it. Judge a document above 0, or remove the query",
    ),
    "half": (
        {"qrels": [*QRELS, "q1\td1\t0.5"]},
        "qrels/test.tsv",
        5,
        "a relevance score is a whole number, but it is 0.5",
    ),
    "NaN": (
        {"qrels": [*QRELS, "q1\td1\tnan"]},
        "qrels/test.tsv",
        5,
        "'score' must be a number, but it is 'nan'",
    ),
    "infinite": (
        {"qrels": [*QRELS, "q1\td1\tinf"]},
        "qrels/test.tsv",
        5,
        "'score' must be a number, but it is 'inf'",
    ),
    "document twice": (
        {"corpus": [*CORPUS, '{"_id": "d2", "text": "again"}']},
        "corpus.jsonl",
        4,
        "the id 'd2' appears here for the second time",
    ),
    "query twice": ({"queries": [QUERIES[0]] * 2}, "queries.jsonl", 2, "the id 'q1' appears here for the second time"),
    "blank document": (
        {"corpus": [*CORPUS, '{"_id": "d4", "text": ""}']},
        "corpus.jsonl",
        4,
        "'text' must be a text that is not blank, but it is ''",
    ),
    "blank title alone": (
        {"corpus": [*CORPUS, '{"_id": "d4", "title": " ", "text": ""}']},
        "corpus.jsonl",
        4,
        "'text' must be a text that is not blank, but it is ''",
    ),
    "title without a text": (
        {"corpus": [*CORPUS, '{"_id": "d4", "title": "Fourth", "body": "fourth"}']},
        "corpus.jsonl",
        4,
        "'text' is missing; there are _id, title, body",
    ),
    "query with a title alone": (
        {"queries": [*QUERIES, '{"_id": "q3", "title": "Three", "text": ""}']},
        "queries.jsonl",
        3,
        "'text' must be a text that is not blank, but it is ''",
    ),
    "half a character": (
        {"corpus": [*CORPUS, '{"_id": "d4", "text": "fourth \\ud83d"}']},
        "corpus.jsonl",
        4,
        "'text' holds half of a character (\\ud83d): the text was cut within it",
    ),
    "half a character in a title": (
        {"corpus": [*CORPUS, '{"_id": "d4", "title": "\\udcff", "text": "fourth"}']},
        "corpus.jsonl",
        4,
        "'title' holds half of a character (\\udcff): the text was cut within it",
    ),
    "number as title": (
        {"corpus": [*CORPUS, '{"_id": "d4", "title": 3, "text": "fourth"}']},
        "corpus.jsonl",
        4,
        "'title' must be a text, but it is 3",
    ),
    "no id": ({"queries": [*QUERIES, '{"text": "three?"}']}, "queries.jsonl", 3, "'_id' is missing; there are text"),
    "fraction as id": (
        {"queries": [*QUERIES, '{"_id": 3.0, "text": "three?"}']},
        "queries.jsonl",
        3,
        "'_id' must be a text that is not blank, but it is 3.0",
    ),
    "truth value as id": (
        {"queries": [*QUERIES, '{"_id": true, "text": "three?"}']},
        "queries.jsonl",
        3,
        "'_id' must be a text that is not blank, but it is True",
    ),
    "number and its digits": (
        {"queries": [*QUERIES, '{"_id": "3", "text": "three?"}', '{"_id": 3, "text": "again?"}']},
        "queries.jsonl",
        4,
        "the id '3' appears here for the second time",
    ),
    "leading zero": (
        {"queries": [*QUERIES, '{"_id": "03", "text": "three?"}'], "qrels": [*QRELS, "3\td1\t1"]},
        "qrels/test.tsv",
        5,
        "'3' is not in queries.jsonl",
    ),
    "TREC form": (
        {"qrels": ["q1\t0\td1\t1", "q2\t0\td3\t2"]},
        "qrels/test.tsv",
        2,
        "'query-id' is missing; there are q1, 0, d1, 1",
    ),
    "comma as decimal point": (
        {"qrels": [*QRELS, "q1\td1\t1,0"]},
        "qrels/test.tsv",
        5,
        "'score' must be a number, but it is '1,0'",
    ),
    "no grade": (
        {"qrels": [*QRELS, "q1\td3\t1000001"]},
        "qrels/test.tsv",
        5,
        "a relevance score of 1e+06 is not a grade: grades go up to 1,000,000. Does the number belong to another column?",
    ),
    "column twice": (
        {"qrels": [f"{QRELS[0]}\tscore", *(f"{row}\t0" for row in QRELS[1:])]},
        "qrels/test.tsv",
        1,
        "the header names 'score' twice; keep one",
    ),
    "key twice": (
        {"corpus": [*CORPUS, '{"_id": "d4", "text": "fourth", "text": "again"}']},
        "corpus.jsonl",
        4,
        "'text' appears twice in one object",
    ),
    "NUL in the id of a document": (
        {"corpus": [*CORPUS, '{"_id": "nul\\u0000", "text": "fourth"}']},
        "corpus.jsonl",
        4,
        r"'_id' holds a NUL byte, at which trec_eval ends an id, but it is 'nul\x00'",
    ),
    "NUL in the id of a query": (
        {"queries": [*QUERIES, '{"_id": "nul\\u0000", "text": "three?"}']},
        "queries.jsonl",
        3,
        r"'_id' holds a NUL byte, at which trec_eval ends an id, but it is 'nul\x00'",
    ),
    "NUL in a judgement": (
        {"qrels": [*QRELS, "q1\tnul\0\t1"]},
        "qrels/test.tsv",
        5,
        r"'corpus-id' holds a NUL byte, at which trec_eval ends an id, but it is 'nul\x00'",
    ),
    "half a character in an id": (
        {"queries": [*QUERIES, '{"_id": "q\\ud83d", "text": "three?"}']},
        "queries.jsonl",
        3,
        r"'_id' holds half of a character (\ud83d): the text was cut within it",
    ),
    "half a character in a key": (
        {"corpus": [*CORPUS, '{"_id": "d4", "\\ud83d": "fourth"}']},
        "corpus.jsonl",
        4,
        r"'text' is missing; there are _id, \ud83d",
    ),
    "underscore in a grade": (
        {"qrels": [*QRELS, "q1\td3\t1_0"]},
        "qrels/test.tsv",
        5,
        "'score' must be a number, but it is '1_0'",
    ),
    "comma behind a row": (
        {"corpus": [*CORPUS, '{"_id": "d4", "text": "fourth"},']},
        "corpus.jsonl",
        4,
        "not valid JSON: Extra data at column 32",
    ),
}


@pytest.mark.parametrize(("files", "name", "line", "problem"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_bad_line_of_a_retrieval_task_is_named_with_file_and_line(beir, files, name, line, problem):
    """What can't be right, in itself or against the other files, is an error at its line."""
    task = beir(**files)
    with pytest.raises(DataError, match=says(task.path / name, line, problem)):
        read_retrieval(task)


def test_number_of_thousands_of_digits_is_named(beir):
    """What Python refuses to make a number of is a wrong line too."""
    task = beir(queries=[*QUERIES, f'{{"_id": {"1" * 5000}, "text": "three?"}}'])
    with pytest.raises(
        DataError, match=rf"^{re.escape(str(task.path))}/queries\.jsonl:3: not valid JSON: Exceeds the limit "
    ):
        read_retrieval(task)


def test_row_that_is_nested_too_deeply_is_named(beir, monkeypatch):
    """What Python gives up on is a wrong line too."""
    loads = json.loads

    def give_up(line, **how):
        if "deep" in line:
            raise RecursionError
        return loads(line, **how)

    task = beir(queries=[*QUERIES, '{"_id": "q3", "text": "three?", "deep": [[[]]]}'])
    monkeypatch.setattr(json, "loads", give_up)
    problem = "a value is nested too deeply; a row is one flat object"
    with pytest.raises(DataError, match=says(task.path / "queries.jsonl", 3, problem)):
        read_retrieval(task)


@pytest.mark.parametrize("text", ['""', "null"])
def test_document_with_a_title_alone(beir, text):
    """A document without a text is its title, as in TREC-COVID."""
    corpus, _, _ = read_retrieval(beir(corpus=[*CORPUS, f'{{"_id": "d4", "title": "Fourth", "text": {text}}}']))
    assert corpus[3] == {"id": "d4", "title": "Fourth", "text": ""}


def test_negative_and_repeated_judgements(beir):
    """Grades below 0 mark what is worse than not relevant, as in Touché 2020; a line that stands twice says nothing new."""
    _, _, qrels = read_retrieval(beir(qrels=[*QRELS, "q2\td1\t-2", "q2\td3\t2"]))
    assert qrels == {**READ, "q2": {"d3": 2, "d1": -2}}


@pytest.mark.parametrize("qrels", [QRELS[:1], [QRELS[0], "q1\td1\t0"]])
def test_judgements_without_anything_relevant_are_an_error(beir, qrels):
    """Where nothing is relevant nothing can be measured; it is not a score of zero."""
    with pytest.raises(
        DataError, match=r"/qrels/test\.tsv judges nothing as relevant, so there is nothing to measure\.$"
    ):
        read_retrieval(beir(qrels=qrels))


@pytest.mark.parametrize("empty", ["corpus", "queries"])
def test_empty_file_of_a_retrieval_task_is_an_error(beir, empty):
    """A corpus or queries without a line are told as empty."""
    with pytest.raises(DataError, match=rf"/faq/{empty}\.jsonl is empty\. Give it at least one row\.$"):
        read_retrieval(beir(**{empty: []}))


@pytest.mark.parametrize(
    ("task", "type_", "name"),
    [
        (retrieval_task("data/faq"), "Retrieval", "faq"),
        (retrieval_task(Path("data/faq/")), "Retrieval", "faq"),
        (sts_task("data/grades.csv"), "STS", "grades"),
        (pair_task("data/duplicates/test.tsv"), "PairClassification", "duplicates"),
        (retrieval_task("data/faq", split="dev"), "Retrieval", "faq-dev"),
        (retrieval_task("data/faq.v2"), "Retrieval", "faq.v2"),
        (bitext_task("data/dev.jsonl"), "BitextMining", "data-dev"),
        (bitext_task("test.jsonl"), "BitextMining", "test"),
        (bitext_task("data/dev.jsonl", name="Mine"), "BitextMining", "Mine"),
    ],
)
def test_task_is_named_after_its_folder_or_file(task, type_, name):
    """Reports show a name that tells tasks apart; a file called after its split gives the folder's name."""
    assert (task.type, task.name) == (type_, name)


def test_details_are_kept():
    """Split, instruction and range arrive where the task is made of them."""
    assert retrieval_task("d", split="dev", instruction="Find").split == "dev"
    assert sts_task("f.csv", instruction="Compare", score_range=(0, 1)) == OwnTask(
        "STS", Path("f.csv"), "f", instruction="Compare", score_range=(0, 1)
    )


def test_range_and_instruction_in_other_forms():
    """A range may be a list, an instruction mteb's own texts by kind; the task still is a key of results."""
    assert sts_task("f.csv", score_range=[0, 5]) == sts_task("f.csv")
    task = retrieval_task("d", instruction={"query": "Find", "document": "Be found"})
    assert task.instruction == {"query": "Find", "document": "Be found"}
    assert {task: 1}[task] == 1
    assert task != retrieval_task("d", instruction="Find")


@pytest.mark.parametrize("score_range", [(5, 0), (0,), 5, "05", (0, float("nan")), (0, float("inf")), (0, "5"), None])
def test_range_that_is_none_is_refused(score_range):
    """A scale has a lowest and a higher grade."""
    with pytest.raises(
        SpecError,
        match=f"^{re.escape(f'score_range={score_range!r} must be the lowest and the highest grade, e.g. (0, 5).')}$",
    ):
        sts_task("f.csv", score_range=score_range)


@pytest.mark.parametrize("text", [7, "", " ", "a\nb", "a\ud83d", ["a"]])
@pytest.mark.parametrize("what", ["name", "split"])
def test_name_that_can_not_be_shown_is_refused(what, text):
    """Tables, reports and baselines show it on one line."""
    with pytest.raises(
        SpecError, match=f"^{re.escape(f'{what}={text!r} must be a text that can be printed and is not blank.')}$"
    ):
        retrieval_task("d", **{what: text})


@pytest.mark.parametrize("instruction", [7, ["Find"], {"queries": "Find"}])
def test_instruction_that_is_none_is_refused(instruction):
    """An instruction is a text, or texts by the kinds that mteb knows."""
    with pytest.raises(
        SpecError, match=f"^{re.escape(f'instruction={instruction!r} must be a text, or texts by kind')}"
    ):
        retrieval_task("d", instruction=instruction)


def test_relative_paths_start_beside_the_test(tmp_path):
    """A task's path is relative to the test file; an absolute one stays."""
    task = retrieval_task("data/faq")
    assert task.beside(tmp_path).path == tmp_path / "data/faq"
    assert task.beside(tmp_path).name == "faq"
    assert retrieval_task(tmp_path / "x").beside(Path("/elsewhere")).path == tmp_path / "x"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (sts_task("sim.tsv"), "suites/a/sim"),
        (sts_task("../b/sim.tsv"), "suites/b/sim"),
        (sts_task("../../sim.tsv"), "sim"),
        (sts_task("faq/test.csv"), "suites/a/faq"),
        (sts_task("faq/dev.csv"), "suites/a/faq-dev"),
        (sts_task("dev.csv"), "suites/a-dev"),
        (retrieval_task("../faq.v1"), "suites/faq.v1"),
        (retrieval_task("../faq", split="dev"), "suites/faq-dev"),
        (retrieval_task("."), "suites/a"),
        (retrieval_task("../.."), "root"),
        (sts_task("../../../data/sim.tsv"), "sim"),
        (retrieval_task("/data/faq"), "faq"),
        (sts_task("sim.tsv", name="mine"), "mine"),
        (retrieval_task("caf\udce9"), "suites/a/caf\\udce9"),
        (retrieval_task("two\nlines"), "suites/a/two\\nlines"),
        (retrieval_task("café"), "suites/a/café"),
    ],
)
def test_own_data_is_called_by_its_path_below_rootdir(task, name):
    """Files of one name in two folders are two tasks; a name of the user's own, or data that lies elsewhere, is kept short."""
    assert task.beside(Path("/srv/root/suites/a"), Path("/srv/root")).name == name
