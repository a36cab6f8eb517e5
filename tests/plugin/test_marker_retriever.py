"""``@mteb_task(..., retriever=...)``: a pipeline, a service or a run file is held to graded judgements as encoders are."""

from __future__ import annotations

import gzip
import json

import pytest
from word_search import CONFTEST, SAMPLED, SEARCH, TEST, trec


def test_a_pipeline_is_held_to_its_judgements_without_any_model(pytester, suite):
    """The fixture's pipeline is asked, reports name its kind, and the model of the command line is not loaded."""
    result = suite(TEST, "--embedqa-json=report.json", "--embedqa-html=report.html")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["retriever:words: words · retriever*", "data * ndcg_at_10 * 1.0000 * pass"])
    report = json.loads((pytester.path / "report.json").read_text())
    facts = json.dumps(report)
    assert '"kind": "retriever"' in facts
    assert "nowhere" not in json.dumps(report["tests"])
    assert "retriever:words" in (pytester.path / "report.html").read_text()


def test_a_pipeline_is_asked_for_as_many_as_the_bounds_look_at(pytester, suite):
    """Ten for ndcg_at_10, more where a bound looks at more, and top_k= where it is given; deeper metrics are not made up."""
    for arguments, asked in (
        ("min_ndcg_at_10=0.5", 10),
        ("min_ndcg_at_1=0.5", 10),
        ("min_recall_at_20=0.5", 20),
        ("min_ndcg_at_10=0.5, top_k=50", 50),
    ):
        (pytester.path / "calls").unlink(missing_ok=True)
        result = suite(TEST.replace("min_ndcg_at_10=0.9", arguments))
        result.assert_outcomes(passed=1)
        calls = [int(line.split()[0]) for line in (pytester.path / "calls").read_text().splitlines()]
        assert calls[SAMPLED:] == [asked] * 15
    body = TEST.replace(": ...", ":\n    assert task_result['recall_at_100'] == 0")
    suite(body).stdout.fnmatch_lines(["*data has no metric 'recall_at_100'.*"])


def test_a_run_file_is_held_to_its_judgements(pytester, suite):
    """A path from the test's folder, gzipped or not; reports name it by its path below the rootdir."""
    folder = pytester.mkdir("runs")
    (folder / "bm25.trec").write_text(trec())
    (folder / "half.trec.gz").write_bytes(gzip.compress(trec(ranks=(1, 2)).encode()))
    result = suite("""
        from pathlib import Path
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task("data"), retriever="runs/bm25.trec", min_ndcg_at_10=0.99, min_mrr_at_10=0.99)
        def test_bm25(): ...
        @mteb_task(retrieval_task("data"), retriever=Path("runs/half.trec.gz"), min_mrr_at_10=0.76, max_mrr_at_10=0.77)
        def test_half(): ...
    """)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["retriever:runs/bm25.trec: * · file *", "retriever:runs/half.trec.gz: *"])
    result.stdout.fnmatch_lines(["note: data: 1 of the queries of the run are not judged, and do not count."])
    result.stdout.fnmatch_lines(
        ["note: data: the longest list of the run has 10 documents: metrics at a larger k see no*"]
    )


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (trec(queries=12), "*run.trec has no line for 3 of the 15 judged queries of data: 'q12', 'q13', 'q14'. A mean without them would be of other queries. Complete the run; where nothing was found, say so in a line:  q12 Q0 - 0 0 TAG"),
        (trec() + "x1 Q0 d1 1 1 t\nx2 Q0 d1 1 1 t\n", "*run.trec:161: 2 of its 18 queries are not among the 16 of data: 'x1', 'x2'. Is it a run on*"),
        (trec().replace(" d3 ", " e3 "), "*run.trec: 1 of its * documents are none of the 16 of data: 'e3'. Write the ids that the corpus has;*"),
        (trec().replace("0.500000", "none"), "*run.trec:2: a score is a finite number, but it is 'none'."),
    ],
    ids=["missing queries", "unknown queries", "unknown documents", "no number"],
)  # fmt: skip
def test_a_run_of_something_else_is_refused(pytester, suite, lines, says):
    """Queries that are missing or unknown and documents that are unknown are counted and named, with what to do."""
    (pytester.path / "run.trec").write_text(lines)
    result = suite(TEST.replace('retriever="retriever"', 'retriever="run.trec"'))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([says])


def test_a_query_without_an_answer_scores_0_and_is_noted(pytester, suite):
    """In a run a line says so; of a pipeline an empty list. The mean is over all queries."""
    lines = [line for line in trec().splitlines(keepends=True) if not line.startswith("q3 ")]
    (pytester.path / "run.trec").write_text("".join(lines) + "q3 Q0 - 0 0 tool\n")
    run = TEST.replace('retriever="retriever"', 'retriever="run.trec"').replace(
        "=0.9", "=0.9333, max_ndcg_at_10=0.9334"
    )
    result = suite(run)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: data: the run has no document for 1 of 15 queries, which score 0: 'q3'."])
    pytester.makepyfile(search=SEARCH.replace("words = set", "if 'crust' in query: return []\n        words = set"))
    result = suite(TEST.replace("=0.9", "=0.9333, max_ndcg_at_10=0.9334"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: data: for 1 of 15 queries nothing came back, which scores 0: 'q3'."])


def test_a_low_score_fails_with_the_retriever_and_its_notes(suite, pytester):
    """The text names what was searched by, and what came back oddly; no advice on prompts or vectors."""
    pytester.makepyfile(search=SEARCH.replace("best_first = True", "best_first = False"))
    result = suite(TEST.replace("=0.9", "=0.999"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "data: ndcg_at_10 0.* is below 0.9990, off by *",
            "*note       *for * of 15 queries scores rise from rank to rank, as if the worst came first*",
            "*retriever  words · retriever*",
            "  try        compare with a saved run, or with a model: --embedqa-baseline=PATH, or =SPEC.",
        ]
    )
    result.stdout.no_fnmatch_line("*prompts    *")


def test_an_exception_of_the_pipeline_keeps_its_own_frames(pytester, suite):
    """It is an error of the set-up with the user's traceback alone: no verdict, and no fault of this package."""
    pytester.makepyfile(search=SEARCH.replace("words = set", "raise KeyError('index is gone')\n        words = set"))
    result = suite()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*raise KeyError('index is gone')*", "E *KeyError: 'index is gone'", "search.py:*: KeyError"]
    )
    result.stdout.no_fnmatch_line("*pytest_embedqa*")
    result.stdout.no_fnmatch_line("*embedqa:*fault*")


def test_an_answer_that_can_not_be_read_fails_the_test(pytester, suite):
    """It is no exception of the pipeline: query and rank are named."""
    for form, says in (
        ("row['_id'] + 'x', score", "*words returned for the query 'q0' at rank 1 the text 'd0x', which belongs to none of the 16 documents*"),
        ("row['_id'], float('nan')", "*words, asked for the query 'q0', returned at rank 1 a passage whose score is nan*"),
    ):  # fmt: skip
        pytester.makepyfile(search=SEARCH.replace('row["_id"], score)', f"{form})"))
        result = suite()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([says])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("retriever='runs/none.trec'", "*retriever='runs/none.trec': *none.trec is not a file. retriever= names the fixture*"),
        ("retriever=True", '*retriever= names the fixture that returns your pipeline (retriever="retriever"), *but it is True.'),
        ("retriever=''", "*retriever= names the fixture *but it is ''."),
        ("retriever='retriever', limit=5", "*limit= can't stand beside retriever=: a retriever searches its own index*"),
        ("retriever='retriever', dims=[8]", "*dims= can't stand beside retriever=*"),
        ("retriever='retriever', vs_published=-0.1", "*vs_published= can't stand beside retriever=*"),
        ("retriever='retriever', min_spearman=0.1", "*'spearman' is measured on texts and vectors, and a retriever shows neither."),
        ("retriever='retriever', max_truncated=0.1", "*'truncated' is measured on texts and vectors*"),
        ("retriever='retriever', top_k=0", "*top_k=0 must be a whole number from 1 up."),
        ("retriever='retriever', top_k=5, min_recall_at_20=0.1", "*'recall_at_20' looks at 20 documents, and top_k=5 asks for fewer."),
        ("retriever='run.trec', top_k=5", "*top_k= asks a pipeline for passages, and a run file can't be asked for more*"),
        ("retriever={'by': 'bm25'}", "*test_it.py: retriever= takes the form http: of a probe file's retrieve*"),
        ("retriever={'http': {'url': 'http://127.0.0.1:1'}}", "*test_it.py: retrieve.http needs *"),
        ("retriever={'http': {'url': 'http://search.test', 'body': {'q': '{query}'}, 'hits': '@', 'text': 'text'}}", "*test_it.py: the host search.test is not asked*--embedqa-allow-host=search.test"),
        ("retriever='list.txt'", "*list.txt*"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused_at_collection(pytester, suite, arguments, says):
    """Before anything is asked, with the place of the test and what to write."""
    (pytester.path / "run.trec").write_text(trec())
    result = suite(TEST.replace('retriever="retriever", min_ndcg_at_10=0.9', arguments))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it.py:*{says}"])
    assert not (pytester.path / "calls").exists()


def test_tasks_that_rank_nothing_are_refused(suite):
    """A retriever has no similarity of pairs, and candidates to rerank are no corpus."""
    for task, kind in (('"STSBenchmark"', "STS"), ('"AskUbuntuDupQuestions"', "Reranking")):
        test = TEST.replace('retrieval_task("data")', task).replace("min_ndcg_at_10=0.9", "min_main_score=0.1")
        result = suite(test, data=True)
        result.stderr.fnmatch_lines([f"*is of the type {kind}, which searches no corpus. Choose a retrieval task."])
    result = suite(
        TEST.replace("@mteb_task", "@matryoshka(dims=[8])\n@mteb_task").replace("import", "import matryoshka,")
    )
    result.stderr.fnmatch_lines(["*shorten vectors, and a retriever shows none: they can't stand beside retriever=."])


def test_the_fixture_must_be_a_pipeline_of_ones_own(pytester, suite):
    """This package's own fixture searches probes; a name that no fixture has is pytest's error; a value must be callable."""
    pytester.makeconftest("")
    result = suite()
    result.stderr.fnmatch_lines(
        ["*retriever='retriever' names a fixture of pytest-embedqa itself, and not a pipeline of yours.*"]
    )
    result = suite(TEST.replace('retriever="retriever"', 'retriever="my_search"'))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'my_search' not found"])
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef my_search(): return [1]")
    result = suite(TEST.replace('retriever="retriever"', 'retriever="my_search"'))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*The fixture 'my_search' returned a list, which can't be called.*"])


def test_tests_that_share_a_pipeline_share_its_answers(pytester, suite):
    """The same object is asked once; another object of that name, or one that answers otherwise by now, is asked anew."""
    pytester.makeconftest(
        CONFTEST
        + "\n@pytest.fixture(params=['a', 'b'])\ndef several(request):\n    found = Words()\n    found.name = request.param\n    return found\n"
    )
    once = 15 + SAMPLED
    result = suite(TEST + TEST.replace("test_search", "test_again"))
    result.assert_outcomes(passed=2)
    calls = len((pytester.path / "calls").read_text().splitlines())
    assert calls == once + SAMPLED  # the second test asks whether it is still the same
    result = suite(
        TEST.replace(": ...", ":\n    import search; search.Words.best_first = False")
        + TEST.replace("test_search", "test_worse")
    )
    result.assert_outcomes(passed=1, failed=1)
    result = suite(TEST.replace('retriever="retriever"', 'retriever="several"'))
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["retriever:a*", "retriever:b*"])


def test_a_lambda_has_the_name_of_its_fixture(pytester, suite):
    """Reports would otherwise call every lambda the same."""
    pytester.makeconftest(
        "import pytest\nfrom search import Words\n@pytest.fixture\ndef by_words(): return lambda query, k: Words()(query, k)"
    )
    result = suite(TEST.replace('retriever="retriever"', 'retriever="by_words"'))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["retriever:by_words: by_words · retriever"])


def test_an_asynchronous_pipeline_is_awaited(pytester, suite):
    """A coroutine function is asked like any other."""
    pytester.makeconftest(
        "import pytest\nfrom search import Words\n@pytest.fixture\ndef retriever():\n    async def found(query, k): return Words()(query, k)\n    return found"
    )
    suite().assert_outcomes(passed=1)


def test_a_public_task_is_searched_too(suite):
    """Documents are those of the public task, by their ids there."""
    suite(TEST.replace('retrieval_task("data")', '"ArguAna"'), data=True).assert_outcomes(passed=1)


def test_a_pipeline_gets_the_documents_of_its_task(pytester, suite):
    """The fixture task_corpus has the texts of any task by their ids, public or one's own, as models read them."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture
        def retriever(task_corpus):
            def shared(query, k):
                found = {id: len(set(query.split()) & set(text.split())) for id, text in task_corpus.items()}
                return {id: score for id, score in sorted(found.items(), key=lambda pair: -pair[1])[:k] if score}
            return shared
    """)
    body = (
        TEST.replace(": ...", ", task_corpus):\n    assert task_corpus['d0'] == 'bread dough rises with yeast'")
        .replace(")):", "):")
        .replace("result)", "result")
    )
    suite(body).assert_outcomes(passed=1)
    suite(body.replace('retrieval_task("data")', '"ArguAna"'), data=True).assert_outcomes(passed=1)
    result = suite(body.replace('retrieval_task("data")', '"SciFact"'), data=True)
    result.assert_outcomes(skipped=1)
    suite(body.replace('retrieval_task("data")', '"SciFact"'), "--embedqa-strict", data=True).assert_outcomes(errors=1)
    suite("def test_it(task_corpus): ...").stdout.fnmatch_lines(
        ["*task_corpus needs @mteb_task, or @index_recall with a task, on the test."]
    )
    of_pairs = TEST.replace('retrieval_task("data"), retriever="retriever"', '"STSBenchmark"').replace(
        "ndcg_at_10", "main_score"
    )
    result = suite(of_pairs.replace("(task_result)", "(task_corpus)"), model="python:bag:encode", data=True)
    result.stdout.fnmatch_lines(["*STSBenchmark is of the type STS, which has no documents to search."])


def test_markers_that_come_late_bring_the_pipeline(pytester, suite):
    """On a parameter and in a TestCase too, the fixture that a marker names is set up, and no model."""
    result = suite("""
        import unittest
        import pytest
        from pytest_embedqa import mteb_task, retrieval_task
        HELD = mteb_task(retrieval_task("data"), retriever="retriever", min_ndcg_at_10=0.9)
        @pytest.mark.parametrize("one", [pytest.param(1, marks=HELD)])
        def test_parameter(one): ...
        class TestHere(unittest.TestCase):
            @HELD
            def test_case(self): ...
        @pytest.mark.mteb_task(retrieval_task("data"), retriever="retriever", min_ndcg_at_10=0.9)
        def test_by_hand(): ...
    """)
    result.assert_outcomes(passed=3)


def test_a_test_that_is_run_again_asks_anew(pytester, suite):
    """A pipeline that was down in the first try is judged by its answers in the second."""
    pytest.importorskip("pytest_rerunfailures")
    pytester.makepyfile(
        search=SEARCH.replace("words = set", "if self.failed():\n            return [('gone', 1)]\n        words = set")
        + """
    def failed(self):
        first = not Path("tried").exists()
        return first
"""
    )
    test = (
        TEST.replace("@mteb_task", "import pytest\n@pytest.mark.flaky(reruns=1)\n@mteb_task")
        + """
@pytest.fixture(autouse=True)
def trying():
    yield
    open("tried", "w").close()
"""
    )
    result = suite(test)
    result.stdout.fnmatch_lines(["*1 passed, 1 rerun*"])


def test_several_models_make_one_test(suite):
    """A retriever is no model of the command line, and its test is not run for each of them."""
    result = suite(TEST, "--embedqa-model", "python:nowhere:encode", "--embedqa-model", "python:nowhere:other")
    result.assert_outcomes(passed=1)


def test_collecting_asks_nothing(pytester, suite):
    """``--collect-only`` and ``--setup-only`` leave the pipeline alone."""
    suite(TEST, "--collect-only").stdout.fnmatch_lines(["*1 test collected*"])
    suite(TEST, "--setup-only").assert_outcomes()
    assert not (pytester.path / "calls").exists()


@pytest.mark.slow
def test_tests_of_one_retriever_share_a_worker(pytester, suite):
    """Under xdist both tests are of one unit: the pipeline is asked once."""
    result = suite(TEST + TEST.replace("test_search", "test_again"), "-n2")
    result.assert_outcomes(passed=2)
    assert len((pytester.path / "calls").read_text().splitlines()) == 15 + 2 * SAMPLED


def test_minutes_and_budget_end_a_search(pytester, suite):
    """Queries that are left are counted; a budget that is over skips the test."""
    slow = SEARCH.replace("words = set", "import time; time.sleep(0.02)\n        words = set")
    pytester.makepyfile(search=slow)
    result = suite(TEST.replace("min_ndcg", "max_minutes=0.001, min_ndcg"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*data: Not done after max_minutes=0.001: * of 15 queries were asked."])
    pytester.makepyfile(search=slow.replace("0.02", "1"))
    result = suite(TEST, "--embedqa-budget=2s")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*budget*"])
