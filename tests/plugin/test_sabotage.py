"""A broken encoder fails the run with exit code 1 and a text that names the fault; nothing of it is scored."""

from __future__ import annotations

import pytest

FAULTS = {
    "shuffled": "*another vector in a batch of * than alone (cosine *Rows are returned in another order*",
    "constant": "*returned the same vector for * different texts*",
    "nan": "*returned NaN or infinity for 1 of * texts, for instance for '*'*",
    "raising": "*raised RuntimeError on a batch of * texts: the server is gone*",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_is_named(pytester, run, fault):
    """Each fault is an outcome of its own, not a low score that somebody has to explain."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_it(): ...
    """)
    result = run(model=f"python:bag:{fault}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([FAULTS[fault]])
    result.stdout.no_fnmatch_line("*ndcg_at_10 *pass")


def test_a_fault_costs_one_evaluation(pytester, run):
    """Further tests on that task fail at once with the same text."""
    pytester.makepyfile("""
        import bag
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_one(): ...
        @mteb_task("ArguAna", min_recall_at_10=0.01)
        def test_two(): ...
        def test_calls(): assert len(bag.CALLS) <= 3
    """)
    result = run(model="python:bag:nan")
    result.assert_outcomes(failed=2, passed=1)


def test_a_fault_in_the_stored_vectors_is_not_stored(pytester, run):
    """After a fault the store serves no vector of it: the next run encodes anew."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_it(task_result): assert task_result.details.encoded > 0
    """)
    store = ("--embedqa-store", str(pytester.path / "vectors.sqlite"))
    run(*store, model="python:bag:constant?version=1").assert_outcomes(failed=1)
    run(*store, model="python:bag:constant?version=1").assert_outcomes(failed=1)
