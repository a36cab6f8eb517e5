"""``@rag_probe`` on a test function, and retrievers of one's own."""

from __future__ import annotations

import json

import pytest

SUITE = """
from pytest_embedqa import Passage, rag_probe

@rag_probe(ask="how long to bake the loaf", corpus="documents", expect={{"contains": "40 minutes"}}{more})
def test_baking(probe_result):
    assert probe_result.rank == 1
    assert probe_result.passages[0].source == "bread.md"
"""
OWN = """
import pytest
from pytest_embedqa import Passage

@pytest.fixture{scope}
def retriever({wants}):
    def pipeline(query, k):
        {body}
    return pipeline
"""


@pytest.fixture
def documents(pytester):
    """A small corpus."""
    folder = pytester.path / "documents"
    folder.mkdir()
    (folder / "bread.md").write_text("Dough rises with yeast. Bake the loaf for 40 minutes.", encoding="utf-8")
    (folder / "rain.md").write_text("Clouds bring heavy rain.", encoding="utf-8")
    return folder


def test_a_probe_in_python_is_judged_before_its_body_runs(documents, run, pytester):
    """The marker says the same as a file; the body sees what came back."""
    pytester.makepyfile(SUITE.format(more=""))
    run("-m", "rag").assert_outcomes(passed=1)
    pytester.makepyfile(SUITE.format(more=', reject={"source": "rain.md"}'))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_baking: a passage in rain.md must not come back, and is at rank 2 (rain.md)."])


def test_a_wrong_argument_is_an_error_before_anything_runs(documents, run, pytester):
    """Unknown arguments of parts and the whole name what there is."""
    pytester.makepyfile(SUITE.format(more=', retrieve={"by": "bm52"}'))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*retrieve.by: 'bm52' is unknown. Did you mean 'bm25'?*"])
    pytester.makepyfile("import pytest\n@pytest.mark.rag_probe('question')\ndef test_a(): pass\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*@rag_probe takes keyword arguments only, but got ('question',). Write, for instance,  @rag_probe(ask=*)"]
    )


def test_a_pipeline_of_ones_own_is_tested_as_it_is(documents, run, pytester):
    """Any callable will do; no encoder is loaded for it, and reports name it."""
    pytester.makeconftest(
        OWN.format(
            scope="(scope='session')", wants="", body="return [Passage('for 40 minutes', 'bread.md', score=0.9)]"
        )
    )
    pytester.makepyfile(SUITE.format(more=""))
    (pytester.path / "faq.probe.yaml").write_text(
        "mrr: 0.9\nrobustness: {noise: {}}\nprobes: [{name: baking, ask: how long, expect: {contains: 40 minutes}}]",
        encoding="utf-8",
    )
    result = run(model="st:no/such-model")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["baking * 1 * 0.9000 *bread.md*", "faq.probe.yaml * mrr * 1.0000*"])


def test_tests_of_one_name_are_judged_each_by_itself(documents, run, pytester):
    """The same name and question in two classes, of another corpus or with another expectation: three verdicts."""
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        class TestHere:
            @rag_probe(ask="how long", corpus="documents", expect={"contains": "40 minutes"})
            def test_baking(self): ...
        class TestElsewhere:
            @rag_probe(ask="how long", corpus="documents/rain.md", expect={"contains": "40 minutes"})
            def test_baking(self): ...
        class TestNowhere:
            @rag_probe(ask="how long", corpus="documents", expect={"contains": "90 minutes"})
            def test_baking(self): ...
    """)
    result = run("-v")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*TestHere::test_baking PASSED*"])


def test_each_pipeline_of_a_parametrised_fixture_is_asked(documents, run, pytester):
    """Two pipelines in one run: the broken one does not get the answer of the good one."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture(params=["for 40 minutes", "nothing"])
        def retriever(request):
            return lambda query, k: [request.param]
    """)
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(): ...
    """)
    result = run("-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*?nothing? FAILED*"])


def test_each_try_asks_anew(documents, run, pytester):
    """A test that is run three times asks its pipeline three times, also for all probes together and for its body."""
    pytester.makeconftest("""
        import pytest
        from _pytest.runner import runtestprotocol
        ASKED = []
        @pytest.fixture(scope="session")
        def retriever():
            return lambda query, k: ASKED.append(query) or (["for 40 minutes"] if len(ASKED) > 2 else ["nothing"])
        def pytest_runtest_protocol(item, nextitem):
            for _ in range(3):
                runtestprotocol(item, log=True, nextitem=None)
            return True
        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line(f"asked {len(ASKED)} times")
    """)
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(probe_result):
            assert probe_result.rank == 1
    """)
    result = run()
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["asked 3 times"])
    (pytester.path / "faq.probe.yaml").write_text(
        "mrr: 0.9\npass_rate: 0.9\nprobes: [{name: baking, ask: how long, expect: {contains: 40 minutes}}]",
        encoding="utf-8",
    )
    result = run("faq.probe.yaml")
    result.assert_outcomes(xfailed=2, passed=7)
    result.stdout.fnmatch_lines(["asked 9 times"])


def test_a_system_that_comes_up_late(run, pytester):
    """A corpus that is not there is remembered for the next tests, but no longer than until it is there."""
    pytester.makeconftest("""
        from _pytest.runner import runtestprotocol
        def pytest_runtest_protocol(item, nextitem):
            documents = item.path.parent / "documents"
            if item.name == "second":
                documents.mkdir()
                (documents / "bread.md").write_text("Bake it for 40 minutes.")
                runtestprotocol(item, log=True, nextitem=nextitem)
            runtestprotocol(item, log=True, nextitem=nextitem)
            return True
    """)
    probes = [
        f"{{name: {name}, ask: how long, expect: {{contains: 40 minutes}}}}" for name in ("first", "second", "third")
    ]
    (pytester.path / "faq.probe.yaml").write_text(f"corpus: documents\nprobes: [{', '.join(probes)}]", encoding="utf-8")
    run("faq.probe.yaml").assert_outcomes(errors=1, passed=3)


def test_what_a_pipeline_can_not_be_asked(documents, run, pytester):
    """Without vectors or documents of its own a check is skipped, and the reason says which of them is missing."""
    pytester.makeconftest(OWN.format(scope="", wants="", body="return [Passage('for 40 minutes', 'bread.md')]"))
    (pytester.path / "faq.probe.yaml").write_text(
        "check_index: true\nrobustness: {noise: {}, typos: {}}\nprobes: [{name: a, ask: b, expect: {contains: nothing}}]",
        encoding="utf-8",
    )
    result = run("faq.probe.yaml", "-rs")
    result.assert_outcomes(failed=1, skipped=3)
    result.stdout.fnmatch_lines_random(
        [
            "*pipeline has no encoder of this run, with whose vectors its index could be compared",
            "*noise is added to the corpus of the built-in chain only",
            "*no probe of faq.probe.yaml holds and can be varied by typos",
        ]
    )


def test_a_pipeline_that_is_too_slow(documents, run, pytester):
    """A probe that allows less time than the search took says both."""
    pytester.makepyfile(SUITE.format(more=", max_latency_ms=0.000001"))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_baking: retrieval took * ms; 1e-06 ms are allowed."])


def test_a_pipeline_gets_the_corpus_of_its_probe(documents, run, pytester):
    """The fixture probe_corpus says which documents a probe is about."""
    pytester.makeconftest(
        OWN.format(
            scope="",
            wants="probe_corpus",
            body="return [{'text': file.read_text(), 'source': file.name} for file in sorted(probe_corpus.iterdir())][:k]",
        )
    )
    pytester.makepyfile(SUITE.format(more=""))
    run().assert_outcomes(passed=1)


def test_a_pipeline_that_returns_something_else(documents, run, pytester):
    """A wrong return value is named, and fails the probe."""
    pytester.makepyfile(SUITE.format(more=""))
    pytester.makeconftest(OWN.format(scope="", wants="", body="return [1]"))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pipeline returned at rank 1 a int: 1.*"])


ASKED = """
import asyncio
import pytest
from pytest_embedqa import rag_probe

def search():
    raise ConnectionError("index is gone")

def function(query, k):
    return search()

def generator(query, k):
    yield "for 40 minutes"
    search()

async def coroutine(query, k):
    await asyncio.sleep(0)
    search()

@pytest.fixture(params=[function, generator, coroutine])
def retriever(request):
    return request.param

@rag_probe(ask="how long", expect={"contains": "40 minutes"})
def test_baking(): ...
"""


@pytest.mark.parametrize("place", ["conftest.py", "test_own.py"])
def test_a_pipeline_that_raises_is_an_error_with_its_own_traceback(run, pytester, place):
    """An index that is gone is no missed probe: the frames are the pipeline's, not ours, also where it is lazy."""
    head, test = ASKED.split("@rag_probe")
    files = (
        {"test_own.py": ASKED}
        if place == "test_own.py"
        else {
            "conftest.py": head,
            "test_own.py": f"from pytest_embedqa import rag_probe\n@rag_probe{test}",
        }
    )
    for name, text in files.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    result = run("-p", "no:randomly")
    result.assert_outcomes(errors=3)
    for name in ("function", "generator", "coroutine"):
        result.stdout.fnmatch_lines(
            [
                f"_* ERROR at setup of test_baking?{name}? *",
                f"{place}:*",
                "E *ConnectionError: index is gone",
                f"{place}:*: ConnectionError",
            ]
        )
    result.stdout.no_fnmatch_line("*probes hold*")
    result.stdout.no_fnmatch_line("*pytest_embedqa/*.py:*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_pipeline_that_raises_for_all_probes_of_a_file(run, pytester):
    """The test of all probes is an error, too, and each pipeline is asked once a test."""
    pytester.makeconftest(
        OWN.format(scope="", wants="", body="print('asked', query); raise ConnectionError('index is gone')")
    )
    (pytester.path / "faq.probe.yaml").write_text(
        "mrr: 0.9\nprobes: [{name: baking, ask: how long, expect: {contains: 40 minutes}}]", encoding="utf-8"
    )
    result = run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*Captured stdout setup*", "asked how long"])
    assert result.stdout.lines.count("asked how long") == 2


def test_a_run_that_sets_up_only_asks_nothing(run, pytester):
    """``--setup-only`` makes the pipeline, and asks it nothing."""
    pytester.makepyfile(ASKED)
    run("--setup-only").assert_outcomes()


def test_a_wrong_answer_is_asked_for_once(run, pytester):
    """What is wrong with the answer is told by the probe; a second try within a test could hide it."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture(scope="session")
        def retriever():
            answers = iter([["late", None], ["for 40 minutes"]])
            return lambda query, k: next(answers)
    """)
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(): ...
    """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["test_baking: <lambda> returned at rank 2 None. Return a list, best first, of Passage(*"]
    )


def test_notes_at_a_probe(run, pytester):
    """What is odd about an answer stands below the table, in the JSON and on the page; the verdict stays."""
    pytester.makepyfile("""
        import numpy as np, pytest
        from pytest_embedqa import Passage, rag_probe
        @pytest.fixture
        def retriever():
            return lambda query, k: [Passage("for 40 minutes", score=np.float32(score)) for score in (0.5, 0.75)]
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(): ...
    """)
    result = run("--embedqa-json=run.json", "--embedqa-html=run.html")
    result.assert_outcomes(passed=1)
    notes = [
        "2 passages came back, 5 were asked for.",
        "the passage at rank 2 is the same as at rank 1.",
        "scores rise from rank to rank, as if the worst came first; a distance is Passage(text, distance=...).",
    ]
    result.stdout.fnmatch_lines(["1 of 1 probes hold", *(f"note: test_baking: {note}" for note in notes)])
    facts = json.loads((pytester.path / "run.json").read_text("utf-8"))["tests"][0]["facts"]["probe"][0]
    assert facts["notes"] == notes
    assert facts["passages"][1]["score"] == 0.75
    page = (pytester.path / "run.html").read_text("utf-8")
    assert all(note in page for note in notes)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("['30 days']", "a list, which can't be called"),
        ("lambda query: []", "a function, which takes no (query, k): too many positional arguments"),
        ("lambda *, query, k: []", "a function, which takes no (query, k): too many positional arguments"),
    ],
)
def test_a_fixture_that_returns_no_pipeline(documents, run, pytester, returned, said):
    """The error says what it must return, and shows no line of the plugin."""
    pytester.makeconftest(f"import pytest\n@pytest.fixture\ndef retriever(): return {returned}")
    pytester.makepyfile(SUITE.format(more=""))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"The fixture 'retriever' returned {said}. It returns a callable, as in: lambda query, k: *"]
    )


@pytest.mark.parametrize(
    "returned", ["lambda query, k=5: ['for 40 minutes']", "lambda *given: ['for 40 minutes']", "max"]
)
def test_callables_of_every_form_are_asked(documents, run, pytester, returned):
    """Whatever takes a question and a number by place, with a signature or without."""
    pytester.makeconftest(f"import pytest\n@pytest.fixture\ndef retriever(): return {returned}")
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(): ...
    """)
    result = run()
    result.stdout.no_fnmatch_line("*The fixture 'retriever' returned*")


def test_no_corpus_and_no_pipeline(run, pytester):
    """A probe without documents is an error that says what to add."""
    pytester.makepyfile(
        "from pytest_embedqa import rag_probe\n@rag_probe(ask='a', expect={'contains': 'b'})\ndef test_a(): pass\n"
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*test_*.py: there is no corpus, and no fixture 'retriever' of your own: add  corpus: FOLDER*"]
    )


def test_fixtures_outside_a_probe(run, pytester):
    """The fixture that the test asked for says where it belongs."""
    pytester.makepyfile("def test_a(probe_result): pass\n\n\ndef test_b(retriever): pass\n")
    result = run()
    result.assert_outcomes(errors=2)
    where = "needs @rag_probe on the test, or a ?.probe.yaml file."
    result.stdout.fnmatch_lines([f"probe_result {where}", f"retriever {where}"])


def test_a_failure_of_ones_own_pipeline_says_whose_it_is(documents, run, pytester):
    """Not how the built-in chain would have searched, which nobody has asked; nor what its passages would be."""
    pytester.makeconftest(OWN.format(scope="", wants="encoder", body="return ['nothing']"))
    pytester.makepyfile(SUITE.format(more=', chunk={"size": 9000}, retrieve={"by": "dense"}'))
    result = run("--embedqa-html=report.html", model="python:bag:encode?max_length=4")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  searched   by your own 'pipeline', of the fixture 'retriever' (conftest.py:4)", "  encoder    bag:encode *"]
    )
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert "searched   by your own &#39;pipeline&#39;, of the fixture" in page
    for text in (result.stdout.str(), page):
        assert "dense, best" not in text
        assert "chunk: size smaller" not in text


def test_a_pipeline_that_is_a_parameter(documents, run, pytester):
    """It has no fixture of the project's own, and no line of pytest is shown for one."""
    pytester.makepyfile("""
        import pytest
        from pytest_embedqa import rag_probe
        def shelf(query, k): return ["nothing"]
        @pytest.mark.parametrize("retriever", [shelf])
        @rag_probe(ask="how long", expect={"contains": "40 minutes"})
        def test_baking(retriever): ...
    """)
    result = run()
    result.assert_outcomes(failed=1)
    assert "  searched   by your own 'shelf', of the fixture 'retriever'" in result.outlines


def test_the_chain_is_not_asked_for_ones_own_pipeline(documents, run, pytester):
    """Noise is for the built-in chain, whatever encoder the pipeline has; its bounds go by the encoder's name."""
    pytester.makeconftest(OWN.format(scope="", wants="encoder", body="return [Passage('for 40 minutes', 'bread.md')]"))
    (pytester.path / "faq.probe.yaml").write_text(
        "corpus: documents\nretrieve: {by: bm25}\nmrr: {'bag:encode': 0.9}\nrobustness: {noise: {}}\n"
        "probes: [{name: baking, ask: how long, expect: {contains: 40 minutes}}]",
    )
    result = run("faq.probe.yaml", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*noise is added to the corpus of the built-in chain only"])


def test_no_two_rows_look_the_same(documents, run, pytester):
    """Tests of one name in two classes, with two pipelines, and of files of one name in two folders."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture(params=["for 40 minutes", "nothing"], ids=["good", "broken"])
        def retriever(request):
            def mine(query, k): return [request.param]
            return mine
    """)
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe
        class TestA:
            @rag_probe(ask="how long", expect={"contains": "40 minutes"})
            def test_baking(self): ...
        class TestB(TestA): ...
    """)
    for folder in ("one", "two"):
        (pytester.path / folder).mkdir()
        (pytester.path / folder / "faq.probe.yaml").write_text(
            "mrr: 0.5\nprobes: [{name: 'baking, \\e[31m', ask: how long, expect: {contains: 40 minutes}}]".replace(
                "'", '"'
            )
        )
    result = run()
    result.assert_outcomes(passed=6, failed=6)
    lines = result.stdout.str().partition("embedding quality")[2].splitlines()
    rows = [line for line in lines if line.endswith((" pass", " FAIL"))]
    heads = [line for line in lines if line.endswith(" verdict")]
    assert len(rows) == len(set(rows)) + 2  # of the two files, under heads of their own
    assert len(heads) == len(set(heads)) == 4
    assert [line.split("  ")[0] for line in rows if "Test" in line] == [
        f"Test{letter}::test_baking[{name}]" for name in ("broken", "good") for letter in "AB"
    ]
    result.stdout.fnmatch_lines([r"baking, \x1b(31m[[]broken] * FAIL", "two/faq.probe.yaml [[]good] * mrr * pass"])
    assert "\x1b" not in result.stdout.str()
