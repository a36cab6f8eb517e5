"""What is read from test reports, whatever order and phase they come in."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.properties import ENCODER, NOTE, PROBE, VERDICT, write
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.markers import CAPABILITY
from pytest_embedqa.reports.run import Run, run_of

OURS = [(CAPABILITY, "quality")]


def report(when, outcome="passed", *, text=None, name="t.py::test_a", properties=OURS, **more):
    """A report of one phase of a test."""
    return pytest.TestReport(
        name, ("t.py", 6, "test_a"), {}, outcome, text, when, [], 1.0, user_properties=properties, **more
    )


def read(*reports):
    """The run of these reports."""
    return run_of(reports, settings={}, environment={}, started="", seconds=0.0)


def test_a_test_that_passed():
    """Its time is that of all three phases, its line counts from 1, it has no text."""
    (test,) = read(report("setup"), report("call"), report("teardown")).tests
    assert (test.outcome, test.seconds, test.file, test.line, test.text) == ("passed", 3.0, "t.py", 7, "")


def test_a_failure_keeps_its_text_though_its_teardown_fails_too():
    """A fixture that can't tidy up after a failed test must not hide why it failed."""
    phases = [report("setup"), report("call", "failed", text="too low"), report("teardown", "failed", text="gone")]
    (test,) = read(*phases).tests
    assert (test.outcome, test.text) == ("failed", "too low")


def test_a_fixture_that_fails_is_an_error():
    """At setup, and at teardown of a test that passed."""
    (before,) = read(report("setup", "failed", text="no model"), report("teardown")).tests
    (after,) = read(report("setup"), report("call"), report("teardown", "failed", text="gone")).tests
    assert [(one.outcome, one.text) for one in (before, after)] == [("error", "no model"), ("error", "gone")]


def test_skips_and_expected_failures_have_their_reasons():
    """In the words of who wrote them, without what pytest puts in front."""
    (skipped,) = read(report("setup", "skipped", text=("t.py", 7, "Skipped: no data"))).tests
    (expected,) = read(report("setup"), report("call", "skipped", text="long", wasxfail="reason: known")).tests
    (passed,) = read(report("setup"), report("call", "passed", wasxfail="known"), report("teardown")).tests
    assert [(one.outcome, one.text) for one in (skipped, expected, passed)] == [
        ("skipped", "no data"),
        ("xfailed", "known"),
        ("xpassed", "known"),
    ]


def test_a_failure_in_spite_of_an_expectation_has_its_own_text():
    """The reason of an ``xfail`` that does not cover it is not why it failed."""
    (test,) = read(
        report("setup"), report("call", "failed", text="too low", wasxfail="known"), report("teardown")
    ).tests
    assert (test.outcome, test.text) == ("failed", "too low")


def test_an_encoder_that_is_loaded_again_has_one_name():
    """A function without a version has another digest in each process; with another pooling it is another encoder."""
    names = []
    for runs in ({"a": "mean", "b": "mean"}, {"a": "mean", "b": "cls"}):
        facts = [
            {"spec": "python:f", "digest": run, "pooling": pooling, "options": {"run": run}}
            for run, pooling in runs.items()
        ]
        tests = [report("call", name=one["digest"], properties=[*OURS, write(ENCODER, one)]) for one in facts]
        names.append(list(read(*tests).encoders))
    assert names == [["python:f"], ["python:f (pooling mean)", "python:f (pooling cls)"]]


def test_a_test_that_is_run_again_counts_once():
    """Of a rerun only the last try is told."""
    tries = [report("setup"), report("call", "rerun", text="first"), report("teardown")]
    (test,) = read(*tries, report("setup"), report("call"), report("teardown")).tests
    assert (test.outcome, test.seconds) == ("passed", 3.0)


def test_a_try_that_does_not_count_decides_nothing():
    """Under pytest-xdist pytest-retry sends the failed try and the last one within the same phases."""
    tries = [report("call", "retried", text="first"), report("call")]
    (test,) = read(report("setup"), *tries, report("teardown")).tests
    assert (test.outcome, test.text) == ("passed", "")


def test_facts_are_gathered_over_tests():
    """By kind, in the order of the tests; each encoder once; others' properties are left alone."""
    encoders = [write(ENCODER, {"spec": spec, "digest": spec}) for spec in ("a", "b")]
    note = write(NOTE, {"text": "sampled"})
    run = read(
        report("call", name="1", properties=[*OURS, encoders[0], note, ("theirs", "no JSON")]),
        report("call", name="2", properties=[*OURS, encoders[1], encoders[0]]),
        report("call", "failed", text="x", name="3", properties=[("theirs", 1)]),
    )
    assert list(run.encoders) == ["a", "b"]
    assert run.facts(NOTE) == [{"text": "sampled"}]
    assert (dict(run.counts), run.others) == ({"passed": 2}, {"failed": 1})


def test_models_are_compared_where_several_were_measured():
    """Two models of the command line, of which one could not be loaded, make no comparison."""
    encoder = write(ENCODER, {"spec": "a", "digest": "a"})
    test = read(report("call", properties=[*OURS, encoder])).tests
    assert Run(test, settings={"models": ["a", "b"]}).compared == []
    both = read(report("call", properties=[*OURS, encoder, write(ENCODER, {"spec": "b", "digest": "b"})])).tests
    assert Run(both, settings={"models": ["b", "a"]}).compared == ["b", "a"]


def shown(*rows):
    """Tasks and names of probes as reports show them; rows are of a test, its model, and what both are called."""
    tests = []
    for name, model, called in rows:
        verdict = Verdict(model, called, "min=0.5", "ndcg", 0.6, 0.5, Outcome.PASS, "")
        tests.append(report("call", name=name, properties=[*OURS, write(VERDICT, verdict.as_dict())]))
    for name, model, called in rows:
        facts = {"model": model, "path": "p", "name": called}
        tests.append(report("call", name=f"p/{name}", properties=[*OURS, write(PROBE, facts)]))
    run = read(*tests)
    return [verdict.task for _, verdict in run.judged], [one["name"] for _, one in run.probes]


def test_rows_of_several_tests_are_told_apart():
    """By their parameters, without the model, or by class and function, or by file; other names stay."""
    assert shown(("t.py::a[m]", "m", "faq"), ("t.py::a[n]", "n", "faq")) == (["faq", "faq"], ["faq", "faq"])
    parameters = ("t.py::a[64]", "m", "faq"), ("t.py::a[m-16]", "m", "faq"), ("t.py::b", "m", "sim")
    assert shown(*parameters) == (["faq [64]", "faq [16]", "sim"], ["a[64]", "a[16]", "sim"])
    classes = ("t.py::A::a", "m", "faq"), ("t.py::B::a[x-y]", "m", "faq")
    assert shown(*classes) == (["faq A::a", "faq B::a[x-y]"], ["A::a", "B::a[x-y]"])
    files = ("one/t.py::a", "m", "faq"), ("two/t.py::a", "m", "faq")
    assert shown(*files)[0] == ["faq one/t.py::a", "faq two/t.py::a"]
