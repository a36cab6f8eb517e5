"""Retrievers and the upgrade gate: two retrievers, or an encoder and a retriever, are compared query by query."""

from __future__ import annotations

import json

import pytest
from word_search import CONFTEST, NO_MODEL, SEARCH, TEST, trec

from pytest_embedqa.commands import main

OF_RUN = TEST.replace('retriever="retriever", min_ndcg_at_10=0.9', 'retriever="run.trec"')
OF_MODEL = TEST.replace(', retriever="retriever", min_ndcg_at_10=0.9', "")


def test_a_run_is_held_to_an_earlier_run(pytester, suite):
    """The better run passes, a run that ranks most documents lower fails, and the queries that got worse are named."""
    run = pytester.path / "run.trec"
    run.write_text(trec(ranks=(1, 1, 2)))
    suite(OF_RUN, "--embedqa-save-baseline=old.json").stdout.fnmatch_lines(
        ["*saved the baseline *old.json: 1 tasks (data)"]
    )
    facts = json.loads((pytester.path / "old.json").read_text())["encoder"]
    assert (facts["spec"], facts["kind"], facts["options"]) == ("retriever:run.trec", "retriever", {"from": "TREC run"})
    suite(OF_RUN, "--embedqa-baseline=old.json").stdout.fnmatch_lines(["*the same encoder: nothing was changed*"])
    run.write_text(trec(ranks=(1,)))
    suite(OF_RUN, "--embedqa-baseline=old.json").assert_outcomes(passed=1)
    run.write_text(trec(ranks=(3, 5, 7)))
    result = suite(OF_RUN, "--embedqa-baseline=old.json", "--embedqa-save-baseline=new.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*changed    15 queries worse, 0 better, of 15*", "*worst      rank 1 to *"])
    assert main(["compare", "old.json", "new.json"]) == 1


def test_a_pipeline_is_held_to_an_encoder_and_an_encoder_to_a_pipeline(pytester, suite):
    """Either may be the baseline, as a file or, of an encoder, as a spec that is evaluated in the same run."""
    suite(OF_MODEL, "--embedqa-save-baseline=model.json", model="python:bag:encode").assert_outcomes(passed=1)
    suite(TEST, "--embedqa-save-baseline=search.json").stdout.fnmatch_lines(
        ["*saved the baseline *search.json: 1 tasks*"]
    )
    result = suite(TEST, "--embedqa-baseline=model.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["data * ndcg_at_10 * pass", "against baseline *", "data * +0.0000 *"])
    suite(TEST, "--embedqa-baseline=python:bag:encode").assert_outcomes(passed=1)
    result = suite(OF_MODEL, "--embedqa-baseline=search.json", model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*queries worse, *"])
    pytester.makepyfile(search=SEARCH.replace("best_first = True", "best_first = False"))
    suite(TEST, "--embedqa-baseline=search.json").assert_outcomes(failed=1)


def test_beside_a_model_the_baseline_is_the_models(pytester, suite):
    """In a run that tests a model, its tasks are kept and compared, and a retriever's only where its test says so."""
    both = OF_MODEL + TEST.replace("test_search", "test_other").replace('"data"', '"data", name="searched"')
    result = suite(both, "--embedqa-save-baseline=both.json", model="python:bag:encode")
    result.assert_outcomes(passed=2)
    note = "note: searched: the baseline of this run is of the model under test: the retriever 'words' is neither kept nor compared*"
    result.stdout.fnmatch_lines(["*saved the baseline *both.json: 1 tasks (data)"])
    result.stdout.fnmatch_lines([note])
    result = suite(both, "--embedqa-baseline=both.json", model="python:bag:encode")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([note])
    named = both.replace("min_ndcg_at_10=0.9", "max_regression=0.1")
    result = suite(named, "--embedqa-baseline=both.json", model="python:bag:encode")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the baseline *both.json has no score for searched*"])


def test_two_retrievers_make_no_baseline(pytester, suite):
    """A baseline is of one system; what is missing in the baseline of a retriever is added by its tests."""
    pytester.makeconftest(
        CONFTEST + "\n@pytest.fixture\ndef other():\n    found = Words()\n    found.name = 'other'\n    return found\n"
    )
    second = TEST.replace("test_search", "test_other").replace('"retriever"', '"other"')
    result = suite(TEST + second, "--embedqa-save-baseline=old.json")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*a baseline holds the scores of one encoder or retriever, but this run tested 'retriever:words' first and 'retriever:other' now*"
        ]
    )
    suite(TEST, "--embedqa-save-baseline=old.json").assert_outcomes(passed=1)
    result = suite(TEST.replace('"data"', '"data", name="renamed"'), "--embedqa-baseline=old.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Add what is missing with a run of the retriever's tests alone:  pytest ... --embedqa-save-baseline=*old.json*"
        ]
    )


@pytest.mark.slow
def test_a_worker_hands_its_baseline_over(pytester, suite):
    """Under xdist the baseline of a retriever is the same."""
    (pytester.path / "run.trec").write_text(trec())
    for name, more in (("one.json", ()), ("two.json", ("-n2",))):
        suite(
            OF_RUN + OF_RUN.replace("test_search", "test_again"),
            f"--embedqa-save-baseline={name}",
            *more,
            model=NO_MODEL,
        )
    one, two = (json.loads((pytester.path / name).read_text()) for name in ("one.json", "two.json"))
    assert one["tasks"] == two["tasks"]
    assert one["encoder"] == two["encoder"]
