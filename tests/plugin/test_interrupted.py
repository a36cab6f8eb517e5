"""An interrupted run says so wherever it says anything, and is a good guest among whoever else handles signals."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest

SUITE = """
    import pytest
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_search(): {first}
    @mteb_task("STSBenchmark")
    def test_pairs(request):
        {stop}
    @mteb_task("STSBenchmark")
    def test_again(): ...
"""
TERM = "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)"


@pytest.fixture
def reports(pytester, monkeypatch, run):
    """Runs the suite; returns the result, JSON, page and summary of the job."""
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    def ran(stop, first="pass"):
        pytester.makepyfile(SUITE.format(stop=stop, first=first))
        result = run("--embedqa-json=r.json", "--embedqa-html=r.html")
        return (
            result,
            json.loads((pytester.path / "r.json").read_text()),
            (pytester.path / "r.html").read_text(),
            summary.read_text(),
        )

    return ran


def test_every_report_says_so(reports):
    """How many of how many tests ran, and which was running: that one has not passed."""
    result, facts, page, summary = reports('pytest.exit("enough")')
    assert result.ret == pytest.ExitCode.INTERRUPTED
    running = "test_every_report_says_so.py::test_pairs"
    assert facts["interrupted"] == {"reason": "enough", "ran": 1, "selected": 3, "running": [running]}
    assert [one["outcome"] for one in facts["tests"]] == ["passed"]
    assert summary.startswith("## Embedding quality: ⚠️ interrupted, 1 of 3 tests ran\n")
    assert "INTERRUPTED</h1>" in page
    assert "The run was interrupted: 1 of 3 tests ran." in page
    note = f"the run was interrupted (enough): 1 of 3 tests ran; this was running: {running}"
    result.stdout.fnmatch_lines([f"note: {note}"])
    assert note in page
    assert note in summary


def test_a_failure_comes_first(reports):
    """A run that has failed already has failed, and its end is told beside that."""
    _, facts, page, summary = reports('pytest.exit("enough")', "assert False")
    assert facts["interrupted"]["ran"] == 1
    assert summary.startswith("## Embedding quality: ❌ failed, 1 of 1 test; interrupted, 1 of 3 tests ran\n")
    assert "FAILED</h1>" in page
    assert "1 of 1 test failed. The run was interrupted: 1 of 3 tests ran." in page


def test_a_whole_run_says_nothing_of_it(reports):
    """It came to its end."""
    result, facts, page, summary = reports("pass")
    assert (result.ret, facts["interrupted"]) == (pytest.ExitCode.OK, None)
    assert not any("interrupted" in text.lower() for text in (page, summary, str(result.stdout)))


def test_an_interrupt_that_is_swallowed_ends_the_run_after_the_test(reports):
    """User code that catches everything can't keep a run from ending."""
    swallowing = f"try: {TERM}\n        except BaseException: pass"
    result, facts, _, _ = reports(swallowing.replace("try: ", "try:\n            "))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert facts["interrupted"] == {"reason": "SIGTERM", "ran": 2, "selected": 3, "running": []}


HANDLERS = "signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)"


def handlers(pytester, run, body, *options, marked=True):
    """The handlers of SIGTERM and of SIGINT within a test, and after the run."""
    decorator = '@mteb_task("STSBenchmark")' if marked else ""
    pytester.makepyfile(f"""
        import signal
        from pytest_embedqa import mteb_task
        FOUND = []
        {decorator}
        def test_it(request): request.config.found = ({HANDLERS})
    """)
    pytester.makeconftest(f"""
        import signal, threading
        def pytest_configure(config):
            {body}
        def pytest_unconfigure(config):
            import builtins
            builtins.embedqa_found = config.found
    """)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(*options).assert_outcomes(passed=1)
        import builtins

        return builtins.embedqa_found, (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


NONE = (signal.SIG_DFL, signal.default_int_handler)


def test_sigterm_is_taken_over_and_given_back(pytester, run):
    """Within a run of ours it is handled, and Ctrl-C as ever; after it both are as before."""
    within, after = handlers(pytester, run, "pass")
    assert within[0].__self__.__class__.__name__ == "Ending"
    assert within[1] is signal.default_int_handler
    assert after == NONE


def test_a_run_without_a_test_of_ours_is_left_alone(pytester, run):
    """It costs nothing, and changes nothing."""
    assert handlers(pytester, run, "pass", marked=False) == (NONE, NONE)


def test_a_debugger_is_left_alone(pytester, run):
    """Under --pdb an interrupt opens a prompt; SIGTERM shall not."""
    assert handlers(pytester, run, "pass", "--pdb")[0] == NONE


def test_the_handlers_of_others_are_left_alone(pytester, run):
    """Whoever has set one before, keeps it, after the run too."""
    ours = "config.theirs = lambda *_: None; signal.signal(signal.SIGTERM, config.theirs); signal.signal(signal.SIGINT, config.theirs)"
    within, after = handlers(pytester, run, ours)
    assert within[0] is within[1]
    assert after == within
    assert "lambda" in within[0].__name__


def test_a_run_in_a_thread(pytester, run):
    """Signals are the main thread's: a run in another one goes on without them."""
    results = []
    thread = threading.Thread(target=lambda: results.append(handlers_in_thread(pytester, run)))
    thread.start()
    thread.join()
    assert results == [(signal.getsignal(signal.SIGTERM), 0)]


def handlers_in_thread(pytester, run):
    """The handler within a test, and the exit code."""
    pytester.makepyfile("""
        import builtins, signal
        from pytest_embedqa import mteb_task
        @mteb_task("STSBenchmark")
        def test_it(): builtins.embedqa_found = signal.getsignal(signal.SIGTERM)
    """)
    result = run()
    import builtins

    return builtins.embedqa_found, result.ret


def test_one_press_of_ctrl_c_may_come_twice(monkeypatch):
    """make, tox and shells pass on what the terminal has sent to all: that ends nothing before its end."""
    from pytest_embedqa.plugin.termination import Ending

    killed = []
    monkeypatch.setattr("os.kill", lambda _process, number: killed.append(number))
    monkeypatch.setattr("signal.signal", lambda *_: None)

    class Config:
        def getoption(self, *_args, **_options):
            return True

        class pluginmanager:  # noqa: N801
            getplugin = staticmethod(lambda _name: None)

    class Session:
        config = Config()

    ending = Ending(Session())
    ending._count(signal.SIGINT, None)
    ending._count(signal.SIGINT, None)
    ending._count(signal.SIGTERM, None)
    assert killed == []
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 1)
    ending._count(signal.SIGINT, None)
    assert killed == [signal.SIGINT]
