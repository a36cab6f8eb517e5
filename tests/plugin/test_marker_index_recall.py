"""``@index_recall`` in real runs of pytest: an index is built of a task's documents, and held to exact search."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

# Indexes of a project's own: exact search, and one for each way to lose what it should find.
OWN = """
import numpy as np

class Exact:
    def build(self, vectors, ids):
        with open("builds", "a") as file:
            print(type(self).__name__, len(ids), file=file)
        self.rows = dict(zip(ids, vectors))

    def search(self, queries, k):
        ids, vectors = list(self.rows), np.array(list(self.rows.values()))
        return [[ids[row] for row in np.argsort(-vectors @ query, kind="stable")[:k]] for query in queries]

class Half(Exact):
    "Every other document is lost."
    def build(self, vectors, ids):
        super().build(vectors[::2], ids[::2])

class Whole(Exact):
    "All that an index may offer."
    def build_with_slots(self, vectors, ids, slots):
        self.build(vectors, ids)
        self.slots = dict(zip(ids, slots))

    def search_below(self, queries, k, slot):
        every = self.search(queries, len(self.rows))
        return [[one for one in some if self.slots[one] < slot][:k] for some in every]

    def add(self, vectors, ids):
        self.rows.update(zip(ids, vectors))

    def remove(self, ids):
        for one in ids:
            del self.rows[one]

    def reopen(self):
        self.rows = dict(self.rows)

    def size(self):
        return 256 * len(self.rows)

    def proof(self, queries, k):
        return "an exact search, on purpose"

    def close(self):
        open("closed", "w").close()
"""
TEST = """
import pytest
from own import *
from pytest_embedqa import index_recall, mteb_task, retrieval_task

@index_recall(retrieval_task("data"), {arguments})
def test_it(index_result):
    assert index_result["recall_at_10"] >= 0
    open("body", "w").close()
"""
LANGUAGES = ["de", "fr"]
HOLDS = "index=Exact, min_recall_at_10=0.99"
FAILS = "index=Half, min_recall_at_10=0.99"


@pytest.fixture
def test(pytester, judged, run):
    """Runs a test with these arguments of its marker, on 16 documents and 15 judged queries."""
    pytester.makepyfile(own=OWN)

    def ran(arguments, *options, more="", **others):
        pytester.makepyfile(test_it=TEST.format(arguments=arguments) + more)
        return run(*options, **others)

    return ran


# ---------------------------------------------------------------- verdicts


def test_an_index_that_finds_all_passes_and_its_body_runs(pytester, test):
    """The body sees the measures; the table has the index beside its task."""
    result = test(HOLDS)
    result.assert_outcomes(passed=1)
    assert (pytester.path / "body").exists()
    result.stdout.fnmatch_lines(["data, Exact * recall_at_10 * 1.0000 ≥ * 0.9900 * pass"])


def test_an_index_that_loses_documents_fails_before_its_body(pytester, test):
    """The text has the bound, the cause, the model's own recall and the table; the body does not run."""
    result = test(FAILS)
    result.assert_outcomes(failed=1)
    assert not (pytester.path / "body").exists()
    result.stdout.fnmatch_lines(
        [
            "data, Half: recall_at_10 0.* is below 0.9900, off by 0.*",
            "  cause      too few documents came back: 0.* of all that were asked for are missing.",
            "  note       15 of 15 queries got fewer than the 10 documents they asked for, 8.0 on average; what is missing counts as lost.",
            "  note       Half: whether the index or an exact search answers is not shown; a method proof(queries, k) would show it.",
            "  state * recall@10 *",
            "  built *",
        ]
    )


def test_a_real_index_of_a_library_is_judged(test):
    """A spec builds the library's own index; the figure is that of its own search."""
    pytest.importorskip("faiss")
    result = test(
        'index="faiss:HNSW8?efSearch=64", rows=2000, min_recall_at_10=0.99, max_ndcg_loss=0.0, max_p95_ms=1000'
    )
    result.assert_outcomes(passed=1)
    result = test('index="faiss:IVF4,Flat", rows=2000, min_recall_at_10=0.99')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["data, faiss:IVF4,Flat: recall_at_10 0.* is below 0.9900*"])


def test_each_bound_is_judged_of_each_state(pytester, test):
    """Deleted, changed, opened again and under a filter: what holds of the index as built must hold then, too."""
    every = "rows=200, delete_nearest=1, churn=2, reopen=True, filter=0.5"
    result = test(f"index=Whole, min_recall_at_10=1.0, max_bytes_per_vector=256, {every}", "-v")
    result.assert_outcomes(passed=1)
    for state in ("built", "after deleting the nearest 1", "after 2 rounds of changes", "reopened", "filter 50.0%"):
        result.stdout.fnmatch_lines([f"{state} * 1.0000 *"])
    result.stdout.fnmatch_lines(["note: an exact search, on purpose"])
    assert (pytester.path / "closed").exists()
    pytester.makepyfile(own=OWN.replace("self.rows = dict(self.rows)", "self.rows.popitem(), self.rows.popitem()"))
    result = test("index=Whole, min_recall_at_10=1.0, reopen=True")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["data, Whole, reopened: recall_at_10 0.* is below 1.0000*"])


def test_rows_are_added_up_to_the_number_of_production(pytester, test):
    """The index gets the task's documents and made ones; a note says how many are made, and how far to trust them."""
    test(f"{HOLDS}, rows=500", "-v").stdout.fnmatch_lines(
        ["Exact on data: 500 rows, 15 queries", "note: 484 of 500 rows are made*"]
    )
    assert (pytester.path / "builds").read_text().split() == ["Exact", "500"]
    result = test(f"{HOLDS}, rows=5")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*rows=5 is less than the 16 documents of data. Leave it out, or take more."])


def test_a_curve_is_drawn_over_each_setting(test):
    """A line for each value, also where nothing is bounded but the index as built."""
    pytest.importorskip("faiss")
    result = test('index="faiss:IVF8,Flat?nprobe=4", rows=2000, min_recall_at_10=0.1, sweep={"nprobe": [1, 8]}')
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["nprobe=1 * 0.*", "nprobe=8 * 1.0000 *"])


# ---------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("index=None, min_recall_at_10=0.9", '@index_recall needs index=, and got None: a spec such as "faiss:HNSW32?efSearch=64", or a class of your own with build(vectors, ids) and search(queries, k).'),
        ("index=7, min_recall_at_10=0.9", "@index_recall needs index=, and got 7: a spec*"),
        ('index="fais:HNSW32", min_recall_at_10=0.9', "index='fais:HNSW32' names no index. Did you mean 'faiss'? The form is CLIENT[[]:TYPE][[]?setting=value&...]; clients: *faiss*. An index of your own is a class with*"),
        ('index="faiss:HNSW8?efSerch=9", min_recall_at_10=0.9', "index='faiss:HNSW8?efSerch=9': there is no setting 'efSerch'. Did you mean 'efSearch'? It has: *efSearch*"),
        ('index="faiss:HNSW8?efSearch=many", min_recall_at_10=0.9', "index='faiss:HNSW8?efSearch=many': the value in efSearch=many is wrong: *"),
        ('index="faiss:HNSW8?efSearch", min_recall_at_10=0.9', "index='faiss:HNSW8?efSearch': the value in efSearch= is wrong: *"),
        ('index="faiss:HNSW8?&", min_recall_at_10=0.9', "index='faiss:HNSW8?&' has '&' after '?', where setting=value is expected."),
        (
            "index=Exact, min_ndcg_loss=0.02",
            "@index_recall: min_ndcg_loss= would hold the better the worse the index is. Its bound is max_ndcg_loss=.",
        ),
        (
            "index=Exact, max_recall_at_10=0.9",
            "@index_recall: max_recall_at_10= would hold the better the worse the index is. Its bound is min_recall_at_10=.",
        ),
        ("index=Exact, min_recal_at_10=0.9", "@index_recall has no measure 'recal_at_10'. Did you mean 'recall_at_10'? It has: recall_at_<k>, worst_decile, ndcg_loss, p50_ms, p95_ms, bytes_per_vector, build_s."),
        ("index=Exact, min_recall_at_10='much'", "@index_recall: min_recall_at_10='much' must be a number."),
        ("index=Exact, min_recall_at_10=float('nan')", "@index_recall: min_recall_at_10=nan must be a number."),
        ("index=Exact, min_recall_at_10=1.2", "*min_recall_at_10=1.2 *"),
        ("index=Exact, churm=3, min_recall_at_10=0.9", "@index_recall has no argument churm. Did you mean churn? It takes: index, k, rows, filter, *"),
        ("index=Exact, k=0, min_worst_decile=0.9", "@index_recall: k=0 must be a whole number from 1 up."),
        ("index=Exact, k=5, min_recall_at_10=0.9", "@index_recall: recall_at_10 needs k=10, and k=5 was given. Leave k= out."),
        ("index=Exact, min_recall_at_5=0.9, min_recall_at_10=0.9", "@index_recall: an index asked for 5 does other work than for 10. Write a test for each number."),
        ("index=Exact, k=5, max_ndcg_loss=0.1", "@index_recall: max_ndcg_loss= looks at 10 documents, and k=5 asks for fewer. Take k=10 or more."),
        ("index=Exact, rows=1.5, min_recall_at_10=0.9", "@index_recall: rows=1.5 must be a whole number from 1 up."),
        ("index=Exact, filter=1, min_recall_at_10=0.9", "@index_recall: filter=1 must be the share of rows that it lets through, from 0.001 to below 1."),
        ("index=Exact, reopen=1, min_recall_at_10=0.9", "@index_recall: reopen=1 must be True or False."),
        ("index=Exact, filter=0.1, min_recall_at_10=0.9", "@index_recall: filter= needs an index with the method search_below, and Exact has none."),
        ("index=Exact(), churn=1, min_recall_at_10=0.9", "@index_recall: churn= needs an index with the method remove, and Exact has none."),
        ("index=Exact, delete_nearest=1, min_recall_at_10=0.9", "@index_recall: delete_nearest= needs an index with the method remove, and Exact has none."),
        ("index=Exact, reopen=True, min_recall_at_10=0.9", "@index_recall: reopen= needs an index with the method reopen, and Exact has none."),
        ("index=Exact, sweep={'ef': [1]}, min_recall_at_10=0.9", "@index_recall: sweep= changes the settings of a spec; an index of your own has settings of its own."),
        ("index='faiss:HNSW8', sweep={'efSearch': 16}, min_recall_at_10=0.9", "@index_recall: sweep={'efSearch': 16} must hold lists of values by setting, e.g. sweep=*"),
        ("index='faiss:HNSW8', sweep={'ef': [16]}, min_recall_at_10=0.9", "index='faiss:HNSW8': there is no setting 'ef'. *"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_an_error_at_collection(pytester, test, arguments, says):
    """Named with the place of the test and what to write, before anything is encoded or built."""
    result = test(arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it.py:*test_it: {says}"])
    assert not (pytester.path / "builds").exists()


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ('"ArguAnna"', "*'ArguAnna'*Did you mean*'ArguAna'*"),
        ('"STSBenchmark"', "*STSBenchmark is of the type STS, which searches no corpus. Choose a retrieval task."),
        ('"AskUbuntuDupQuestions"', "*AskUbuntuDupQuestions is of the type Reranking, which searches no corpus.*"),
        ('sts_task("pairs.csv")', "*pairs* is of the type STS, which searches no corpus.*"),
    ],
)
def test_a_task_that_searches_no_corpus_is_an_error_at_collection(pytester, run, task, says):
    """An unknown task too, with the nearest name."""
    (pytester.path / "pairs.csv").write_text("sentence1,sentence2,score\na,b,1\n")
    pytester.makepyfile(
        f"from pytest_embedqa import index_recall, sts_task\n@index_recall({task}, index='faiss:HNSW8', min_recall_at_10=0.9)\ndef test_it(): ..."
    )
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_task_of_several_corpora_needs_a_choice(pytester, run, hub, write_dataset):
    """An index holds one corpus: the text says how to choose it, and the choice is kept."""
    source = hub / "mteb/arguana"
    files = {
        f"{name}.jsonl": [json.loads(line) for line in (source / f"{name}.jsonl").read_text().splitlines()]
        for name in ("corpus", "queries", "qrels")
    }
    configs = {
        f"{language}-{name}/": (name, f"{name}.jsonl") for language in LANGUAGES for name in ("corpus", "queries")
    }
    configs |= {f"{language}-qrels/": ("test", "qrels.jsonl") for language in LANGUAGES}
    write_dataset("mteb/MintakaRetrieval", files, configs)
    chosen = TEST.replace('retrieval_task("data")', '"MintakaRetrieval", subsets={subsets}').replace(
        "{arguments}", HOLDS
    )
    for subsets, outcome in ((LANGUAGES, "errors"), (["de"], "passed")):
        pytester.makepyfile(own=OWN, test_it=chosen.format(subsets=subsets))
        result = run()
        result.assert_outcomes(**{outcome: 1})
        if outcome == "errors":
            says = "*MintakaRetrieval has 2 corpora, and an index holds one. Choose one with splits= and subsets=."
            result.stdout.fnmatch_lines([says])


@pytest.mark.parametrize("model", ["bm25", "hybrid:[python:bag:encode][bm25]"])
def test_a_model_without_dense_vectors_is_refused(pytester, test, model):
    """The text names the model and its kind; nothing is built."""
    result = test(HOLDS, model=model)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@index_recall is for models with dense vectors, and '*' is of the kind *"])
    assert not (pytester.path / "builds").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[ids[row] for", "[int(ids[row][1:]) for"), "*Exact returned the id * of the type int, which it was not given. search() returns ids as build() got them, str."),
        (("[ids[row] for", "['x' + ids[row] for"), "*Exact returned the id 'xd*', which it was not given. search()*"),
        (("for query in queries]", "for query in queries for _ in '12']"), "*Exact returned [[[]*for one query: search() returns a list of ids for each query, in a list."),
        (("def search", "def look"), "*index='Exact' gave Exact, which lacks build(vectors, ids) or search(queries, k)."),
    ],
    ids=["numbers", "unknown ids", "two lists", "no search"],
)  # fmt: skip
def test_an_index_that_returns_what_it_was_not_given_is_an_error(pytester, test, change, says):
    """It is no low recall: the text says what came back."""
    pytester.makepyfile(own=OWN.replace(*change))
    result = test(HOLDS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says])


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        (("del self.rows[one]", "pass"), "rows=200, delete_nearest=1", "*Whole (after deleting the nearest 1) returned the id '*': this row was deleted."),
        (("if self.slots[one] < slot", ""), "filter=0.5", "*Whole (filter 50.0%) returned the id 'd*': this row does not pass the filter."),
        (("", ""), "filter=0.001", "*Whole (filter 0.1%): no row is left to search. Take more rows, by rows= or another task."),
    ],
    ids=["deleted", "filtered", "nothing left"],
)  # fmt: skip
def test_rows_that_no_search_may_return_are_an_error(pytester, test, change, arguments, says):
    """What was deleted, or does not pass the filter, is not only a miss."""
    pytester.makepyfile(own=OWN.replace(*change) if change[0] else OWN)
    result = test(f"index=Whole, min_recall_at_10=0.5, {arguments}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says])
    assert (pytester.path / "closed").exists()


def test_a_measure_that_an_index_lacks_is_no_pass(test):
    """Bytes of an index that does not tell them."""
    result = test("index=Exact, max_bytes_per_vector=9000")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["data: max_bytes_per_vector=9000 can't be judged: the index has no method size() that tells its bytes."]
    )


@pytest.mark.parametrize(("option", "outcome"), [("skip", "skipped"), ("fail", "errors")])
def test_data_that_can_not_be_reached_is_never_a_pass(pytester, run, option, outcome):
    """Skipped with its reason, or failed, as ``--embedqa-missing-data`` says."""
    pytester.makepyfile(own=OWN)
    pytester.makepyfile("""
        from own import *
        from pytest_embedqa import index_recall
        @index_recall("SciFact", index=Exact, min_recall_at_10=0.5)
        def test_it(): print("body ran")
    """)
    result = run("-rs", f"--embedqa-missing-data={option}")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*no data: mteb/scifact is not in *. Fetch it with:  embedqa fetch SciFact --to *"])
    result.stdout.no_fnmatch_line("*body ran*")


# ---------------------------------------------------------------- selection, sharing, models


def test_tests_of_indexes_are_selected_by_their_label(test):
    """``-m index`` runs them and no other; ``-m quality`` leaves them out."""
    more = '\n@mteb_task("ArguAna", min_ndcg_at_10=0.1)\ndef test_other(): ...\n'
    test(HOLDS, "-m", "index", more=more).assert_outcomes(passed=1, deselected=1)
    result = test(HOLDS, "-m", "quality", "-v", more=more)
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["*::test_other PASSED*"])


def test_tests_of_one_task_share_its_vectors_and_those_of_one_index_its_measures(pytester, test):
    """Two indexes of one task: each text is encoded once. The same marker twice: one index is built."""
    bag = (pytester.path / "bag.py").read_text()
    counting = bag.replace("CALLS.append(len(texts))", "print(*texts, sep='\\n', file=open('encoded', 'a'))")
    (pytester.path / "bag.py").write_text(counting)
    same = f'\n@index_recall(retrieval_task("data"), {HOLDS})\ndef test_again(): ...\n'
    other = '\n@index_recall(retrieval_task("data"), index=Whole, min_recall_at_10=0.9)\ndef test_other(): ...\n'
    encoded = []
    for more, count in (("", 1), (same + other, 3)):
        test(HOLDS, "--embedqa-store=off", more=more).assert_outcomes(passed=count)
        encoded.append((pytester.path / "encoded").read_text())
        (pytester.path / "encoded").unlink()
    assert encoded[0] == encoded[1]
    assert (pytester.path / "builds").read_text().splitlines() == ["Exact 16", "Exact 16", "Whole 16"]


def test_each_encoder_has_an_index_of_its_own(pytester, test):
    """Several models on the command line, and encoders of a parameter: each is judged by its own vectors."""
    models = ("--embedqa-model", "python:bag:encode", "--embedqa-model", "python:bag:other?version=2")
    result = test(HOLDS, *models, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_it?python:bag:encode? PASSED*", "*test_it?python:bag:other?version=2? PASSED*"])
    assert len((pytester.path / "builds").read_text().splitlines()) == 2
    chosen = TEST.format(arguments=HOLDS).replace(
        "def test_it(",
        '@pytest.mark.parametrize("encoder", ["python:bag:encode", "python:bag:coarse"], indirect=True)\ndef test_it(encoder, ',
    )
    pytester.makepyfile(test_it=chosen)
    (pytester.path / "builds").unlink()
    result = pytester.runpytest_inprocess(
        "--embedqa-datasets=hub", "-p", "no:cacheprovider", "--embedqa-store=off", "-v"
    )
    result.assert_outcomes(passed=2)
    assert len((pytester.path / "builds").read_text().splitlines()) == 2


@pytest.mark.slow
def test_workers_give_the_verdicts_of_one_process(pytester, test):
    """Under pytest-xdist too, and the tests of one task stay with the worker that has its vectors."""
    pytest.importorskip("xdist")
    more = f'\n@index_recall(retrieval_task("data"), {FAILS})\ndef test_lossy(): ...\ndef test_other(): ...\n'
    seen = []
    for number, how in enumerate([(), ("-n2",)]):
        result = test(HOLDS, *how, f"--embedqa-json={number}.json", more=more)
        result.assert_outcomes(passed=2, failed=1)
        tests = json.loads((pytester.path / f"{number}.json").read_text(encoding="utf-8"))["tests"]
        seen.append({one["id"]: (one["outcome"], one["facts"]["verdict"]) for one in tests})
    assert seen[0] == seen[1]


def test_an_index_under_test_can_come_from_a_class(pytester, test):
    """On a class, as ``pytest.mark.index_recall``, and with a function that makes the index."""
    more = f"""
@pytest.mark.index_recall(retrieval_task("data"), {HOLDS})
class TestIt:
    def test_one(self): ...
    def test_two(self, index_result):
        assert index_result.k == 10

@index_recall(retrieval_task("data"), index=lambda: Exact(), min_worst_decile=0.9)
def test_made(): ...
"""
    test(HOLDS, more=more).assert_outcomes(passed=4)


# ---------------------------------------------------------------- reports


def test_every_report_shows_the_index(pytester, test, monkeypatch):
    """JSON and JUnit have its facts, the page and the summary of a job its verdict, rows and states."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    files = ("--embedqa-json=out.json", "--junitxml=out.xml", "--embedqa-html=out.html")
    more = '\n@index_recall(retrieval_task("data"), index=Whole, min_recall_at_10=0.9, rows=200, reopen=True)\ndef test_grown(): ...\n'
    result = test(FAILS, *files, more=more)
    result.assert_outcomes(passed=1, failed=1)
    told = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["tests"]
    facts = {one["index"]: one for test in told for one in test["facts"]["index"]}
    assert [(name, one["rows"], one["k"]) for name, one in facts.items()] == [("Half", 16, 10), ("Whole", 200, 10)]
    assert [state["name"] for state in facts["Whole"]["states"]] == ["", "reopened"]
    half = facts["Half"]["states"][0]
    assert half["recall_at_10"] < 0.9
    assert half["short"] == 15
    in_xml = ET.parse(pytester.path / "out.xml").iterfind(".//property[@name='embedqa.index']")
    assert {one["index"]: one for one in (json.loads(found.get("value")) for found in in_xml)} == facts
    summary = (pytester.path / "summary.md").read_text(encoding="utf-8")
    page = (pytester.path / "out.html").read_text(encoding="utf-8")
    assert f"| ❌ fail | `data, Half` | `recall_at_10` | {half['recall_at_10']:.4f} |" in summary
    assert "\nWhole on data: 200 rows, 15 queries\n" in summary
    assert "on data: recall of indexes of 200 rows" in page
    for text in (summary, page):
        assert "reopened" in text
    result.stdout.fnmatch_lines(["::error file=test_it.py,line=*recall_at_10*is below 0.9900*"])


# ---------------------------------------------------------------- probe files and retrievers


FAQ = """
from own import *
from pytest_embedqa import index_recall

@index_recall("faq.probe.yaml", index=Exact, {arguments})
def test_it(): ...
"""


@pytest.fixture
def faq(pytester, test):
    """Runs a test on the passages and questions of a probe file."""
    folder = pytester.mkdir("documents")
    for name, text in {
        "bread": "Bake the loaf for 40 minutes.",
        "rain": "Clouds bring rain.",
        "tram": "Line 9.",
    }.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (pytester.path / "faq.probe.yaml").write_text(
        "corpus: documents\nprobes: [{name: baking, ask: how long to bake, expect: {contains: 40 minutes}}]\n",
        encoding="utf-8",
    )

    def ran(arguments, run):
        pytester.makepyfile(own=OWN, test_it=FAQ.format(arguments=arguments))
        return run("test_it.py")

    return ran


def test_an_index_of_the_passages_of_a_probe_file_is_judged(pytester, faq, run):
    """Its passages are the documents, its questions the queries, and what they expect is relevant."""
    result = faq("min_recall_at_10=1.0, max_ndcg_loss=0.0", run)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["faq.probe.yaml, Exact * recall_at_10 * 1.0000 *pass"])
    assert (pytester.path / "builds").read_text().split() == ["Exact", "3"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("splits=['test'], min_recall_at_10=0.9", "@index_recall: splits= is for tasks, and faq.probe.yaml is a probe file."),
        ("min_recall_at_10=0.9", "@index_recall: *faq.probe.yaml is not a file."),
    ],
    ids=["splits", "no file"],
)  # fmt: skip
def test_what_a_probe_file_can_not_be_asked_is_an_error(pytester, faq, run, arguments, says):
    """Parts of tasks, and a file that is not there."""
    if "splits" not in arguments:
        (pytester.path / "faq.probe.yaml").unlink()
    result = faq(arguments, run)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it.py:*test_it: {says}"])


def test_a_probe_file_without_passages_is_an_error(pytester, faq, run):
    """It is for a pipeline that has documents of its own: there is nothing to index."""
    file = pytester.path / "faq.probe.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("corpus: documents\n", ""), encoding="utf-8")
    result = faq("min_recall_at_10=0.9", run)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*faq.probe.yaml:1: there is no corpus, and no fixture 'retriever' of your own: add  corpus: FOLDER."]
    )


def test_loss_of_ndcg_needs_judgements(pytester, faq, run):
    """Where no probe expects a passage, nothing can be lost: an error, and no loss of 0."""
    file = pytester.path / "faq.probe.yaml"
    file.write_text(file.read_text().replace("expect", "reject"), encoding="utf-8")
    result = faq("max_ndcg_loss=0.1", run)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*max_ndcg_loss=0.1 can't be judged: nothing is judged of the rows that are searched."]
    )


def test_the_index_behind_a_retriever_is_held_to_exact_search(pytester, suite):
    """What a pipeline answers is compared with the encoder's own neighbours; its index is neither built nor timed."""
    held = 'retriever="retriever", min_recall_at_5=0.01)'
    body = (
        TEST.replace("from own import *\n", "")
        .replace("{arguments})", held)
        .replace("index_result[", "0 or index_result[")
        .replace("_at_10", "_at_5")
    )
    result = suite(body, model="python:bag:encode")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["data, fixture retriever * recall_at_5 * 0.* pass"])
    result.stdout.fnmatch_lines(
        ["note: fixture retriever: a retriever shows its answers alone, and not whether an index*"]
    )
    for argument, says in (
        ('index="faiss:HNSW8"', "index= can't stand beside retriever=, whose index is built and changed elsewhere."),
        ("rows=500", "rows= can't stand beside retriever=, whose index is built*"),
    ):
        result = suite(body.replace('retriever="retriever"', f'retriever="retriever", {argument}'))
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*@index_recall: {says}"])
    result = suite(
        body.replace("min_recall_at_5=0.01", "max_p95_ms=100").replace("_at_5", "_at_10"), model="python:bag:encode"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*max_p95_ms=100 can't be judged: a retriever's own index is neither built nor timed here."]
    )


def test_a_pipeline_gets_the_documents_to_index(pytester, suite):
    """The fixture task_corpus has the documents of the task of @index_recall, too."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture
        def retriever(task_corpus):
            return lambda query, k: list(task_corpus.values())[:k]
    """)
    held = '@index_recall(retrieval_task("data"), retriever="retriever", min_recall_at_5=0.01)\ndef test_it(): ...'
    body = "from pytest_embedqa import index_recall, retrieval_task\n"
    suite(body + held, model="python:bag:encode").assert_outcomes(passed=1)
