"""``@mteb_task``: every type of task, and what happens when a threshold does not hold or makes no sense."""

from __future__ import annotations

import importlib.util
import json
import shutil
from xml.etree import ElementTree as ET

import mteb
import pytest

TYPES = {
    "ArguAna": ("ndcg_at_10", 0.7, ""),
    "AskUbuntuDupQuestions": ("map_at_1000", 0.7, ""),
    "STSBenchmark": ("spearman", 0.25, ""),
    "Tatoeba": ("f1", 0.7, ", subsets=['cmn-eng']"),
    "Banking77Classification": ("accuracy", 0.8, ""),
    "SprintDuplicateQuestions": ("max_ap", 0.4, ""),
    "SIB200ClusteringS2S": ("v_measure", 0.1, ", subsets=['eng_Latn']"),
}


@pytest.mark.parametrize("task", TYPES)
def test_each_type_passes_above_its_threshold_and_fails_below(pytester, run, task):
    """Every type of task is evaluated by mteb, and its threshold decides between pass and fail."""
    metric, bound, more = TYPES[task]
    pytester.makepyfile(f"""
        from pytest_embedqa import mteb_task
        @mteb_task("{task}", min_{metric}={bound}{more})
        def test_holds(): ...
        @mteb_task("{task}", max_{metric}={bound}{more})
        def test_does_not(): ...
    """)
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"{task}: * is above {bound:.4f}, off by *"])


def test_body_runs_after_the_thresholds_hold(pytester, run):
    """The body sees the scores; it does not run when a threshold failed before it."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_body(task_result):
            assert task_result["recall_at_100"] == 1.0
            assert task_result.main_score == task_result["ndcg_at_10"]
            assert task_result.scores["test"]["default"]["ndcg_at_10"] == task_result.main_score
            assert task_result.details.units == 16
            print("body", "ran")
        @mteb_task("ArguAna", max_ndcg_at_10=0.1)
        def test_not_reached():
            print("not", "reached")
    """)
    result = run("-rP", "-s")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*body ran*"])
    result.stdout.no_fnmatch_line("*not reached*")


def test_one_evaluation_however_many_tests_look_at_it(pytester, run):
    """Tests on the same task share one evaluation."""
    pytester.makepyfile("""
        import bag
        from pytest_embedqa import mteb_task
        seen = []
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_first(task_result): seen.append((task_result.details, len(bag.CALLS)))
        @mteb_task("ArguAna", min_recall_at_10=0.5)
        def test_second(task_result):
            assert seen == [(task_result.details, len(bag.CALLS))]
            assert seen[0][0] is task_result.details
    """)
    run("--embedqa-store", "off").assert_outcomes(passed=2)


def test_spearman_on_retrieval_runs_and_explains_itself(pytester, run):
    """``min_spearman`` on a retrieval task measures separation, and says that the leaderboard does not."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_spearman=0.78)
        def test_good(): ...
        @mteb_task("ArguAna", min_spearman=0.87)
        def test_beyond_the_ceiling(): ...
    """)
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*more than 0.866 takes ties. The leaderboard's metric is ndcg_at_10 = *"])


def test_a_weaker_encoder_separates_worse(pytester, run):
    """Separation falls when relevant and random pairs look alike."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_spearman=0.78)
        def test_good(): ...
    """)
    run(model="python:bag:coarse").assert_outcomes(failed=1)


WRONG = {
    '"ArguAnna", min_ndcg_at_10=0.5': [
        "*mteb * has no task 'ArguAnna'. Did you mean 'ArguAna'? mteb.get_tasks() lists them.*"
    ],
    '"sim.tsv", min_spearman=0.5': [
        "*mteb * has no task 'sim.tsv'.* For data of your own see retrieval_task, sts_task, pair_task and bitext_task.*"
    ],
    '"my_passages", min_spearman=0.5': [
        "*mteb * has no task 'my_passages'.* For data of your own see retrieval_task, *"
    ],
    '"ArguAna", min_ndcg_at_11=0.5': [
        "*ArguAna (Retrieval) has no metric 'ndcg_at_11'. Did you mean 'ndcg_at_1*It has: *recall_at_100*(and other cut-offs).*"
    ],
    '"Banking77Classification", min_spearman=0.5': [
        "*Banking77Classification (Classification) has no metric 'spearman'*"
    ],
    '"ArguAna", min_ndcg_at_10=1.5': ["*min_ndcg_at_10=1.5 can never hold: ndcg_at_10 lies between 0 and 1*"],
    '"ArguAna", min_ndcg_at_10=48': ["*did you mean 0.48?*"],
    '"ArguAna", min_ndcg_at_10=0': ["*min_ndcg_at_10=0 can never fail*"],
    '"ArguAna", min_ndcg_at_10="high"': [
        "*@mteb_task: min_ndcg_at_10='high' must be a number, or numbers by model name.*"
    ],
    '"ArguAna", ndcg_at_10=0.5': ["*has no argument ndcg_at_10.*It takes: vs_published*"],
    '"ArguAna", splits=["dev2"]': ["*ArguAna has no splits dev2*It has: test*"],
    '"Tatoeba", subsets=["cmn-en"]': ["*Tatoeba has no subsets cmn-en. Did you mean 'cmn-eng'?*"],
    '"Tatoeba", languages=["xyz"]': [
        "*Tatoeba has no subset in the languages xyz: * Write them as mteb does, e.g. languages=?'eng'?.*"
    ],
    '"ArguAna", splits=True': ["*splits=True must be a list of names*"],
    '"ArguAna", splits="test"': ["*splits='test' must be a list of names*"],
    '"ArguAna", limit=0': ["*limit=0 must be a whole number from 2 up*"],
    '"ArguAna", max_minutes=-1': ["*max_minutes=-1 must be a number of minutes above 0*"],
    '"ArguAna", vs_published=-0.01, limit=10': ["*vs_published= is for the whole task*"],
    'retrieval_task("nowhere")': [
        "*The data of nowhere is not there: *nowhere does not exist. Paths are relative to the folder of the test file.*"
    ],
    "1": ['*@mteb_task takes one name, e.g. @mteb_task("ArguAna", min_ndcg_at_10=0.48), but got (1,).*'],
    '"CIFAR10", min_accuracy=0.5': [
        "*CIFAR10 is a task on image; only text is encoded here, and images, audio and video stay out. Choose a task on text alone.*"
    ],
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_marker_is_an_error_before_anything_is_evaluated(pytester, run, arguments):
    """A marker that makes no sense stops the run at collection and says what would make sense."""
    pytester.makepyfile(f"""
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task({arguments})
        def test_wrong(): ...
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_right(): print("evaluated")
    """)
    result = run("-s")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_wrong_marker_is_an_error_before_anything_is_evaluated.py:2: test_wrong: *"])
    result.stderr.fnmatch_lines(WRONG[arguments])
    result.stdout.no_fnmatch_line("evaluated")


def test_marker_on_a_parameter(pytester, run):
    """A marker that only a parameter has judges that one; with several models it comes too late to make tests for each."""
    pytester.makepyfile("""
        import pytest
        from pytest_embedqa import mteb_task
        low, high = mteb_task("ArguAna", min_ndcg_at_10=0.5), mteb_task("ArguAna", max_ndcg_at_10=0.5)
        @pytest.mark.parametrize("x", [pytest.param(1, marks=low), pytest.param(2, marks=high), 3])
        def test_parameters(x): ...
    """)
    result = run()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_marker_on_a_parameter.py::test_parameters?2? *"])
    result = run("--embedqa-model=python:bag:other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*@mteb_task makes several tests of this one (one for each --embedqa-model)*"])


def test_all_wrong_markers_are_named_at_once(pytester, run):
    """Two mistakes take one run to find."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAnna")
        def test_one(): ...
        @mteb_task("ArguAna", min_x=0.5)
        def test_two(): ...
    """)
    result = run()
    result.stderr.fnmatch_lines(["*test_one: *ArguAnna*", "*test_two: *has no metric 'x'*"])


def test_wrong_marker_of_a_deselected_test_does_not_matter(pytester, run):
    """Only selected tests are checked: ``-k`` must not need mteb for the others."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAnna")
        def test_wrong(): ...
        def test_other(): ...
    """)
    run("-k", "other").assert_outcomes(passed=1, deselected=1)


def test_bound_by_model(pytester, run):
    """A bound can be given by model; a test without a bound for this model is skipped and says so."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10={"mine": 0.5, "other": 0.99})
        def test_mine(): ...
        @mteb_task("ArguAna", min_ndcg_at_10={"other": 0.99})
        def test_only_other(): ...
    """)
    result = run("-rs", model="python:bag:encode?name=mine")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*ArguAna has no bound for the model 'mine'*"])


def test_dims_judges_each_dimension_from_one_encoding(pytester, run):
    """With ``dims`` the bounds must hold at each dimension, and nothing is encoded twice."""
    pytester.makepyfile("""
        import bag
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_full(): ...
        @mteb_task("ArguAna", min_ndcg_at_10=0.5, dims=[4, 64])
        def test_cut(): ...
        def test_calls(): assert sum(bag.CALLS) <= 1 + 32 + 8
    """)
    result = run("--embedqa-diagnose=off")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["ArguAna @4: ndcg_at_10 * is below 0.5000*"])
    result.stdout.fnmatch_lines(["ArguAna @64 *pass"])


def test_limit_samples_and_says_so(pytester, run):
    """``limit`` evaluates that many units and notes it."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", limit=5, min_ndcg_at_10=0.5)
        def test_sample(task_result): assert task_result.details.units == 5
        @mteb_task("STSBenchmark", limit=50, min_spearman=0.2)
        def test_pairs(): ...
        @mteb_task("SprintDuplicateQuestions", limit=50, min_max_ap=0.2)
        def test_labels(): ...
        @mteb_task("Tatoeba", subsets=["cmn-eng"], limit=5, min_f1=0.2)
        def test_bitext(): ...
        @mteb_task("AskUbuntuDupQuestions", limit=5, min_map_at_1000=0.2)
        def test_reranking(): ...
        @mteb_task("Banking77Classification", limit=5, min_accuracy=0.2)
        def test_classes(): ...
        @mteb_task("SIB200ClusteringS2S", subsets=["eng_Latn"], limit=200, min_v_measure=0.01)
        def test_clusters(): ...
    """)
    result = run()
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["note: ArguAna: a sample of 5"])


def test_max_minutes_stops_a_slow_encoder(pytester, run):
    """A task that takes too long fails, keeps what it has, and says so."""
    pytester.makepyfile(
        slow="""
        import time, bag
        def encode(texts):
            time.sleep(0.5)
            return bag.encode(texts)
    """
    )
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5, max_minutes=0.01)
        def test_slow(): ...
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_any_time(): ...
        @mteb_task("ArguAna", min_ndcg_at_10=0.5, max_minutes=0.01)
        def test_slow_although_known(): ...
    """)
    result = run(model="python:slow:encode?batch_size=4")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["*It took * minutes, more than max_minutes=0.01.*"])
    result.stdout.fnmatch_lines(["*Not done after max_minutes=0.01: * of * texts have vectors*"])


def test_verdicts_travel_in_user_properties(pytester, run):
    """JUnit sees each verdict with value, bound and outcome."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_it(): ...
    """)
    run("--junitxml", "junit.xml").assert_outcomes(passed=1)
    (found,) = ET.parse(pytester.path / "junit.xml").iterfind(".//property[@name='embedqa.verdict']")
    verdict = json.loads(found.attrib["value"])
    assert verdict["task"] == "ArguAna"
    assert (verdict["bound"], verdict["outcome"], verdict["units"]) == (0.5, "pass", 16)


def test_works_as_pytest_mark_on_class_and_module(pytester, run):
    """The marker is an ordinary mark: on a class or a module it counts for each test in it."""
    pytester.makepyfile(
        test_class="""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        class TestIt:
            def test_method(self, task_result): assert task_result.main_score > 0.5
        """,
        test_module="""
        import pytest
        pytestmark = pytest.mark.mteb_task("ArguAna", max_ndcg_at_10=0.1)
        def test_function(): ...
        """,
    )
    run().assert_outcomes(passed=1, failed=1)


def test_quality_marker_selects(pytester, run):
    """``-m quality`` selects exactly the marked tests."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_it(): ...
        def test_other(): ...
    """)
    run("-m", "quality").assert_outcomes(passed=1, deselected=1)


def test_two_tasks_on_one_test_is_an_error(pytester, run):
    """One test, one task: which thresholds belong to which would be a guess."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        @mteb_task("STSBenchmark", min_spearman=0.5)
        def test_it(): ...
    """)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a test takes one task, but this one has 2: *"])


def test_changed_files_are_read_anew(pytester, run, hub):
    """`datasets` was seen to serve old rows of a changed local folder; a score must follow its data."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_it(): ...
    """)
    run().assert_outcomes(passed=1)
    qrels = hub / "mteb/arguana/qrels.jsonl"
    rows = [json.loads(line) for line in qrels.read_text(encoding="utf-8").splitlines()]
    turned = [{**row, "corpus-id": other["corpus-id"]} for row, other in zip(rows, rows[8:] + rows[:8], strict=True)]
    qrels.write_text("".join(json.dumps(row) + "\n" for row in turned), encoding="utf-8")
    run().assert_outcomes(failed=1)


def test_aggregate_task_is_the_mean_of_its_parts(pytester, run, hub):
    """A task that mteb puts together from others is evaluated whole, from the data of its parts."""
    parts = [part.metadata.dataset["path"] for part in mteb.get_task("CQADupstackRetrieval").metadata.tasks]
    for path in parts:
        shutil.copytree(hub / "mteb/arguana", hub / path)
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("CQADupstackRetrieval", min_ndcg_at_10=0.5)
        def test_it(task_result): assert task_result.main_score == 1.0
    """)
    run().assert_outcomes(passed=1)
    shutil.rmtree(hub / parts[3])
    result = run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*no data: {parts[3]} is not in *"])


def test_without_mteb_the_install_command_is_named(pytester, run, monkeypatch):
    """A missing extra is an error at collection, with the exact command."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "mteb" else real(name, *rest))
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_it(): ...
    """)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*@mteb_task needs the package 'mteb', which is not installed.", '*pip install "pytest-embedqa[[]quality[]]"*']
    )
