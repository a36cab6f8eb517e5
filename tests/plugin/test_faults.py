"""A fault of the plugin itself ends as one error of the test or run that it belongs to, with the place to report it."""

from __future__ import annotations

import json

import pytest

import pytest_embedqa.plugin
import pytest_embedqa.plugin.misnamed
import pytest_embedqa.plugin.save_baseline
import pytest_embedqa.plugin.xdist
import pytest_embedqa.reports.html
import pytest_embedqa.reports.writing  # noqa: F401  all of them are broken below
from pytest_embedqa.core import fault_text

TEST = """
    from pytest_embedqa import mteb_task
    def test_plain(): ...
    @mteb_task("ArguAna", min_ndcg_at_10=0.01)
    def test_it(): ...
"""
SAYS = "pytest-embedqa itself failed in {}: TypeError: 'NoneType' object is not callable"
PLACE = "This is not a fault of a model or a test. Please report it to those who gave you the plugin, with these lines:"


@pytest.fixture
def broken(pytester, run, monkeypatch):
    """Runs a plain test and one of ours with a function of the plugin gone; one error, and nothing breaks down."""

    def run_with(function, where, *arguments):
        pytester.makepyfile(TEST)
        monkeypatch.setattr(f"pytest_embedqa.{function}", None)
        result = run(*arguments)
        text = result.stdout.str() + result.stderr.str()
        assert "INTERNALERROR" not in text
        assert SAYS.format(where) in text
        assert "Traceback (most recent call last)" in text.partition(PLACE)[2]
        assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR}
        return result

    return run_with


@pytest.mark.parametrize(
    ("function", "where", "errors"),
    [
        ("plugin.checks.require_right_markers", "pytest_runtest_setup", 2),  # it is around every test
        ("plugin.checks.check_thresholds", "pytest_runtest_call", 1),
        ("plugin.checks.why_unjudged", "pytest_runtest_makereport", 1),
        ("plugin.fixtures.under_test", "the setup of a test", 1),
    ],
)
def test_a_fault_in_a_test_is_its_error(broken, function, where, errors):
    """In a hook around a test, in its report or in a fixture: other tests pass, and the summary is there."""
    outcomes = broken(function, where).parseoutcomes()
    assert outcomes.get("passed", 0) == 2 - errors
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == errors


@pytest.mark.parametrize("function", ["plugin._label", "plugin.checks.check_items"])
def test_a_fault_before_the_tests_ends_the_run(broken, function):
    """Nothing is evaluated that nobody could judge."""
    where = "pytest_itemcollected" if "label" in function else "pytest_collection_finish"
    result = broken(function, where)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.no_fnmatch_line("*passed*")


def test_a_fault_in_collecting_is_an_error_of_the_file(broken):
    """As any other error of collection."""
    result = broken("plugin.parameters.marks", "pytest_pycollect_makeitem", "-rN")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)


@pytest.mark.parametrize(
    ("function", "where"),
    [
        ("plugin.save_baseline.finish", "saving the baseline"),
        ("reports.writing.add_to_summary", "writing the reports"),
        ("reports.terminal.summary", "pytest_terminal_summary"),
        ("reports.html.render", "the report html"),
    ],
)
def test_a_fault_at_the_end_loses_no_report(pytester, broken, function, where):
    """What has been measured is in all other reports, and the run does not pass."""
    result = broken(function, where, "--embedqa-save-baseline=b.json", "--embedqa-json=r.json", "--embedqa-html=r.html")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))["tests"]) == 1
    assert (pytester.path / "r.html").exists() is (where != "the report html")
    assert (pytester.path / "b.json").exists() is (where != "saving the baseline")


def test_a_report_of_another_plugin_breaks_nothing(pytester, run):
    """A property that is no pair is none of ours, and the run goes on; that it was not understood is said once."""
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item):
            report = yield
            report.user_properties = [("a", 1, 2)]
            return report
        """
    )
    pytester.makepyfile("def test_plain(): ...")
    result = run()
    text = result.stdout.str()
    assert "INTERNALERROR" not in text
    assert text.count("pytest-embedqa itself failed in pytest_runtest_logreport: ValueError: too many values") == 1
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow  # starts two workers, twice
@pytest.mark.parametrize(
    ("patch", "where"),
    [
        ("plugin.save_baseline.take", "pytest_testnodedown"),
        ("plugin.xdist.EncoderScheduling", "pytest_xdist_node_collection_finished"),
        ("plugin.xdist.write_units", "pytest_collection_finish"),
        ("plugin.checks.check_items", "pytest_collection_finish"),
    ],
)
def test_a_fault_under_xdist_reaches_the_controller(pytester, run, monkeypatch, patch, where):
    """Of a worker as of the controller; a worker that gave up would say nothing."""
    pytester.makepyfile(TEST)
    module, _, name = patch.rpartition(".")
    monkeypatch.setattr(f"pytest_embedqa.{patch}", None)  # here, and in the workers:
    pytester.makeconftest(f"import pytest_embedqa.{module} as broken\nbroken.{name} = None")
    result = run("-n2", "--embedqa-save-baseline=b.json")
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert SAYS.format(where) in text
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*[12] passed*"])


@pytest.mark.slow  # starts two workers
@pytest.mark.parametrize("method", ["_add", "_next_unit"])
def test_a_fault_of_the_schedule_ends_the_run_in_words(pytester, run, monkeypatch, method):
    """xdist calls it outside of hooks, and would break down."""
    pytester.makepyfile(TEST)
    monkeypatch.setattr(f"pytest_embedqa.plugin.xdist.EncoderScheduling.{method}", None)
    result = run("-n2")
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    where = "schedule" if method == "_add" else "_reschedule"
    assert text.count(SAYS.format(where)) == 1
    assert result.ret == pytest.ExitCode.USAGE_ERROR


USER = """
    import pytest
    from pytest_embedqa import rag_probe
    class Their(Exception): ...
    @pytest.fixture
    def retriever():
        def search(query, k): raise Their("the index is gone")
        return search
    @rag_probe(ask="How long?", expect={"contains": "30 days"})
    def test_pipeline(): ...
    def test_body(encoder): encoder.encode(5)
    def test_stops(encoder): next(iter([]))
"""


def test_exceptions_of_the_user_keep_their_traceback(pytester, run):
    """What a pipeline or a test raises, also from below our functions that it called, is none of our faults."""
    pytester.makepyfile(USER)
    result = run("-rN")
    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(["*Their: the index is gone", ">*encoder.encode(5)*", "E *StopIteration*"])
    result.stdout.no_fnmatch_line("*itself failed*")


def test_outcomes_and_interrupts_pass(pytester, run):
    """A skip, a failure, an exit and an interrupt mean what they say."""
    pytester.makepyfile(
        """
        import pytest
        def test_skips(encoder): pytest.skip("later")
        def test_fails(encoder): pytest.fail("no")
        def test_exits(encoder): pytest.exit("enough", returncode=7)
        """
    )
    result = run("-rN")
    assert result.ret == 7
    result.assert_outcomes(skipped=1, failed=1)
    pytester.makepyfile("def test_interrupts(encoder): raise KeyboardInterrupt")
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider").ret == pytest.ExitCode.INTERRUPTED


def test_the_place_is_that_of_the_package(monkeypatch):
    """The address of its issues, where the package names one."""
    meta = {"Project-URL": ["Homepage, https://example.org", "Issues, https://example.org/issues"]}
    monkeypatch.setattr(fault_text.metadata, "metadata", lambda _: type("M", (), {"get_all": meta.get})())
    said = fault_text.told(KeyError("x"), "a place")
    assert "Please report it at https://example.org/issues, with these lines:" in said
