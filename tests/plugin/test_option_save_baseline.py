"""``--embedqa-save-baseline``: what a run scored, to be compared with later; it never loses what was there."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.upgrade.baseline import read_baseline

TWO = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_search(): ...
    @mteb_task("STSBenchmark")
    def test_pairs(): ...
"""
MODEL = "python:bag:encode?version=1"


@pytest.fixture
def suite(pytester):
    """Two tasks."""
    return pytester.makepyfile(TWO)


def tasks(pytester, name="b.json"):
    """Names of the tasks in a saved baseline."""
    return sorted(one.subject.task for one in read_baseline(pytester.path / name).evaluations)


def test_a_baseline_is_of_one_encoder(pytester, run):
    """A fixture of one's own may give several: scores of one must not stand under the facts of another."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture(params=["python:bag:encode?version=1", "python:bag:coarse?version=1"])
        def encoder(request): return request.param
    """)
    pytester.makepyfile(TWO)
    result = run("--embedqa-save-baseline=b.json")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*a baseline holds the scores of one encoder or retriever, but this run tested 'python:bag:encode?version=1' first and*"
        ]
    )
    assert json.loads((pytester.path / "b.json").read_text())["encoder"]["spec"] == "python:bag:encode?version=1"


def test_a_run_is_saved(pytester, run, suite):
    """Both tasks, with encoder, data and versions, readable."""
    result = run("--embedqa-save-baseline=sub/b.json", model=MODEL)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["embedqa: saved the baseline *sub/b.json: 2 tasks (ArguAna, STSBenchmark)"])
    facts = json.loads((pytester.path / "sub" / "b.json").read_text())
    assert facts["encoder"]["spec"] == MODEL
    assert facts["tasks"][0]["data_revision"].startswith("sha256:")
    assert set(facts["tasks"][0]["libraries"]) == {"mteb", "datasets"}


def test_every_type_of_task_keeps_its_units(pytester, run):
    """Queries, pairs, sentences, texts; repetitions where there are no units. The unit values give exactly the score."""
    pytester.makepyfile(
        """
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna")
        def test_retrieval(): ...
        @mteb_task("AskUbuntuDupQuestions")
        def test_reranking(): ...
        @mteb_task("STSBenchmark")
        def test_sts(): ...
        @mteb_task("SprintDuplicateQuestions")
        def test_pairs(): ...
        @mteb_task("Tatoeba", subsets=["cmn-eng"])
        def test_bitext(): ...
        @mteb_task("Banking77Classification")
        def test_classes(): ...
        @mteb_task("SIB200ClusteringS2S", subsets=["eng_Latn"])
        def test_clusters(): ...
    """
    )
    run("--embedqa-save-baseline=b.json").assert_outcomes(passed=7)
    found = {one.subject.task: one for one in read_baseline(pytester.path / "b.json").evaluations}
    assert {task: (one.evidence.statistic, one.evidence.unit, one.evidence.count) for task, one in found.items()} == {
        "ArguAna": ("mean", "queries", 16),
        "AskUbuntuDupQuestions": ("mean", "queries", 16),
        "STSBenchmark": ("spearman", "pairs", 256),
        "SprintDuplicateQuestions": ("average_precision", "pairs", 256),
        "Tatoeba": ("mean", "sentences", 16),
        "Banking77Classification": ("mean", "texts", 16),
        "SIB200ClusteringS2S": ("mean", "clusterings", 10),
    }
    run("--embedqa-baseline=b.json").assert_outcomes(passed=7)


def test_a_run_of_some_tasks_adds_to_what_is_there(pytester, run, suite):
    """The same encoder: the command that mends a missing task loses no other."""
    run("--embedqa-save-baseline=b.json", "-k", "search", model=MODEL).assert_outcomes(passed=1, deselected=1)
    assert tasks(pytester) == ["ArguAna"]
    run("--embedqa-save-baseline=b.json", "-k", "pairs", model=MODEL).assert_outcomes(passed=1, deselected=1)
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


def test_other_data_of_one_name_is_told(pytester, run):
    """A score on data that has changed takes the old one's place, and the run says so; the same data is nothing to tell."""
    path = pytester.makefile(".csv", pairs="sentence1,sentence2,score\na b,a b,5\na b,a c,3\na b,c d,0\n")
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, sts_task
        @mteb_task(sts_task("pairs.csv"))
        def test_pairs(): ...
    """)
    for _ in range(2):
        run("--embedqa-save-baseline=b.json", model=MODEL).stdout.no_fnmatch_line("*overwritten*")
    path.write_text(path.read_text() + "\ne f,e g,3\n")
    result = run("--embedqa-save-baseline=b.json", model=MODEL)
    result.stdout.fnmatch_lines(["*embedqa: overwritten, as the data has changed: pairs"])


def test_another_encoder_takes_its_place(pytester, run, suite):
    """Scores of two encoders never stand in one file; a run of all its tasks replaces it."""
    run("--embedqa-save-baseline=b.json", model=MODEL)
    result = run("--embedqa-save-baseline=b.json", model="python:bag:coarse?version=1")
    result.stdout.fnmatch_lines([f"embedqa: it was a baseline of '{MODEL}' before"])
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


def test_another_encoder_does_not_take_its_place_with_less(pytester, run, suite):
    """A run of some tasks would lose the others: the file stays as it was, and the run says what to do."""
    run("--embedqa-save-baseline=b.json", model=MODEL)
    before = (pytester.path / "b.json").read_bytes()
    result = run("--embedqa-save-baseline=b.json", "-k", "search", model="python:bag:coarse?version=1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        f"embedqa: no baseline was saved: *b.json is a baseline of '{MODEL}' and has tasks that this run of "
        "'python:bag:coarse?version=1' did not evaluate: STSBenchmark. Run them too, save to another file, or delete this one."
    )
    assert (pytester.path / "b.json").read_bytes() == before


def test_a_function_without_a_version_is_not_added_to(pytester, run):
    """Its two runs have one name: the error says what would tell them apart, and nothing is lost."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna")
        def test_first(): ...
        @mteb_task("STSBenchmark")
        def test_second(): ...
    """)
    assert run("--embedqa-save-baseline=b.json").ret == 0
    before = (pytester.path / "b.json").read_bytes()
    result = run("--embedqa-save-baseline=b.json", "-k", "first")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*did not evaluate: STSBenchmark. *Nothing tells whether both are the same: version= in the spec would."]
    )
    assert (pytester.path / "b.json").read_bytes() == before


def test_nothing_evaluated_is_no_success(pytester, run, suite):
    """A run that should save and can't is not green, and the old file stays."""
    run("--embedqa-save-baseline=b.json", model=MODEL)
    before = (pytester.path / "b.json").read_bytes()
    result = run("--embedqa-save-baseline=b.json", "--embedqa-missing-data=skip", model=MODEL, data=False)
    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["embedqa: no baseline was saved: no task was evaluated with the model under test; *b.json is as it was"]
    )
    assert (pytester.path / "b.json").read_bytes() == before


def test_failed_tests_are_saved_too(pytester, run):
    """A baseline is what was measured; thresholds are another matter."""
    pytester.makepyfile(TWO.replace("0.1", "0.999"))
    run("--embedqa-save-baseline=b.json", model="python:bag:coarse").assert_outcomes(passed=1, failed=1)
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--embedqa-save-baseline=b.txt"], "*b.txt must end with .json*"),
        (["--embedqa-save-baseline=notes.json"], "*notes.json exists and is not a baseline, so it is not overwritten*"),
        (
            ["--embedqa-save-baseline=b.json", "--embedqa-model", "builtin", "--embedqa-model", "python:bag:encode"],
            "*a baseline holds the scores of one model*",
        ),
        (["--embedqa-save-baseline=b.json", "--embedqa-baseline=b.json"], "*is what this run compares with*"),
    ],
)
def test_what_would_lose_something_is_refused(pytester, run, suite, options, says):
    """Before anything is evaluated."""
    (pytester.path / "notes.json").write_text("{}")
    run("--embedqa-save-baseline=b.json", "-k", "search", model=MODEL)
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert (pytester.path / "notes.json").read_text() == "{}"


def test_a_damaged_one_is_replaced_with_a_word(pytester, run, suite):
    """It can be made anew where it lies."""
    run("--embedqa-save-baseline=b.json", model=MODEL)
    path = pytester.path / "b.json"
    path.write_text(path.read_text().replace("0.", "1."))
    result = run("--embedqa-save-baseline=b.json", model=MODEL)
    result.stdout.fnmatch_lines(["embedqa: what was there before could not be read: *changed after it was written*"])
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


@pytest.mark.slow
def test_under_xdist_one_file_is_written(pytester, run, suite):
    """Workers hand on what they evaluated."""
    run("--embedqa-save-baseline=b.json", "-n2", model=MODEL).assert_outcomes(passed=2)
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


def test_collecting_alone_saves_nothing(pytester, run, suite):
    """Nor does it fail."""
    result = run("--embedqa-save-baseline=b.json", "--collect-only", model=MODEL)
    assert result.ret == 0
    assert not (pytester.path / "b.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "returned", ["'python:bag:{}?version=1'", "lambda texts: __import__('bag').{}(texts)"], ids=["specs", "functions"]
)
def test_encoders_of_two_workers(pytester, run, returned):
    """Under xdist, too: two fixtures of one name in two folders are no baseline, and what was there stays."""
    for name, function in (("a", "encode"), ("b", "coarse")):
        folder = pytester.mkdir(name)
        (folder / "conftest.py").write_text(
            f"import pytest, sys\nsys.path.insert(0, {str(pytester.path)!r})\n@pytest.fixture(scope='session')\ndef encoder():\n"
            f"    return {returned.format(function)}\n"
        )
        (folder / f"test_{name}.py").write_text(
            f"from pytest_embedqa import mteb_task\n@mteb_task('{'ArguAna' if name == 'a' else 'STSBenchmark'}')\ndef test_it(): ..."
        )
    result = run("-n2", "--dist=loadfile", "--embedqa-save-baseline=b.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*no baseline was saved: *a baseline holds the scores of one encoder or retriever, but this run tested *"]
    )
    assert not (pytester.path / "b.json").exists()


PIPELINE = """
import pytest
@pytest.fixture
def retriever():
    def shelf(query, k): return ["for 40 minutes"]
    return shelf
"""
BAKING = "probes: [{name: baking, ask: how long, expect: {contains: 40 minutes}}]"


def test_why_there_is_no_baseline(pytester, run):
    """A run without a task, a choice of probes, and a pipeline without a model: each is told what it lacks."""
    pytester.makepyfile("def test_other(): pass")
    save = "--embedqa-save-baseline=b.json"
    said = "embedqa: no baseline was saved: {}; *b.json is as it was"
    run(save).stdout.fnmatch_lines([said.format("no test of a task or of a probe file ran")])
    (pytester.path / "documents").mkdir()
    (pytester.path / "documents" / "a.md").write_text("Bake it for 40 minutes.")
    (pytester.path / "faq.probe.yaml").write_text(f"corpus: documents\npass_rate: 0.5\n{BAKING}")
    result = run(save, "-k", "baking")
    part = "of probes it keeps the pass_rate of their file, a test that this run left out: run the whole file"
    result.stdout.fnmatch_lines([said.format(part)])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    pytester.makeconftest(PIPELINE)
    result = run(save, "faq.probe.yaml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "note: faq.probe.yaml: a baseline is of an encoder, and the retriever 'shelf' has none: neither kept nor compared",
            said.format("no pass_rate was measured with an encoder: a retriever that has none is in no baseline"),
        ]
    )
    (pytester.path / "faq.probe.yaml").write_text(BAKING)
    run(save, "faq.probe.yaml").assert_outcomes(passed=1, skipped=1)
    pytester.makeconftest("")
    result = run(save, "faq.probe.yaml", "--embedqa-diagnose=off")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([said.format("no pass_rate was measured with *")])


CUT_OFF = """
    import pytest
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_search(): ...
    def test_stop(): pytest.exit("enough")
    @mteb_task("STSBenchmark")
    def test_pairs(): ...
"""


def test_an_interrupted_run_keeps_what_it_has_measured(pytester, run):
    """Where nothing was before, it is the baseline; what is missing is said."""
    pytester.makepyfile(CUT_OFF)
    result = run("--embedqa-save-baseline=b.json", model=MODEL)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert tasks(pytester) == ["ArguAna"]
    result.stdout.fnmatch_lines(
        ["*b.json: 1 tasks (ArguAna); the run was interrupted, and what it did not come to is not in it"]
    )


def test_an_interrupted_run_of_the_same_encoder_adds_to_a_baseline(pytester, run, suite):
    """The task that it did not come to is still there."""
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=2)
    suite.unlink()
    pytester.makepyfile(CUT_OFF)
    assert run("--embedqa-save-baseline=b.json", model=MODEL).ret == pytest.ExitCode.INTERRUPTED
    assert tasks(pytester) == ["ArguAna", "STSBenchmark"]


@pytest.mark.parametrize("damaged", [False, True], ids=["other encoder", "damaged"])
def test_an_interrupted_run_takes_no_place(pytester, run, suite, damaged):
    """A baseline of another encoder, or one that can't be read, stays; what was measured lies beside it."""
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=2)
    path = pytester.path / "b.json"
    if damaged:
        path.write_text(path.read_text().replace('"score"', '"Score"'))
    before = path.read_text()
    suite.unlink()
    pytester.makepyfile(CUT_OFF)
    result = run("--embedqa-save-baseline=b.json", model="python:bag:coarse?version=1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert path.read_text() == before
    assert tasks(pytester, "b.interrupted.json") == ["ArguAna"]
    result.stdout.fnmatch_lines(
        ["embedqa: no baseline was saved: *b.json*", "*saved the baseline *b.interrupted.json: 1 tasks (ArguAna); *"]
    )


def test_what_lies_beside_is_not_lost_either(pytester, run, suite):
    """A second interrupted run, of a third encoder, that has measured less than the first says so and writes nothing."""
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=2)
    run("--embedqa-save-baseline=b.interrupted.json", model="python:bag:coarse?version=1").assert_outcomes(passed=2)
    suite.unlink()
    pytester.makepyfile(CUT_OFF)
    result = run("--embedqa-save-baseline=b.json", model="python:bag:other?version=1")
    assert tasks(pytester) == tasks(pytester, "b.interrupted.json") == ["ArguAna", "STSBenchmark"]
    result.stdout.fnmatch_lines(
        ["embedqa: no baseline was saved: *b.json is*", "*b.interrupted.json is a baseline of*did not evaluate: STS*"]
    )
