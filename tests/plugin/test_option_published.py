"""``vs_published`` and ``--embedqa-published``: held to the leaderboard, or an error, never a pass by default."""

from __future__ import annotations

import json

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", vs_published=-0.015)
    def test_it(): ...
"""
MINILM = "name=sentence-transformers/all-MiniLM-L6-v2"


def test_bound_is_the_published_score_less_the_margin(pytester, run):
    """The verdict shows value, published score and the bound between them."""
    pytester.makepyfile(TEST)
    result = run(model=f"python:bag:encode?{MINILM}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ArguAna * ≥  0.4867    0.5017    pass"])


def test_below_the_margin_fails_with_the_difference(pytester, run):
    """The text says how far off, and that the set-up is the first suspect."""
    pytester.makepyfile(TEST)
    result = run(model=f"python:bag:coarse?{MINILM}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ArguAna: main_score * is below 0.4867 (published 0.5017, allowed -0.015, difference -*",
            "*try * compare prompts, pooling*",
        ]
    )


def test_unknown_model_is_an_error(pytester, run):
    """No published score: the test fails and says what to do instead."""
    pytester.makepyfile(TEST)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*no published scores are known for the model 'bag:encode'*name= in the spec*--embedqa-published*min_<metric>=*"
        ]
    )


def test_other_bounds_are_judged_without_a_published_score(pytester, run):
    """What can be judged is: a bound that does not hold fails the test in its own words, and the gate is in the report."""
    pytester.makepyfile(
        TEST.replace("vs_published=-0.015", "vs_published=-0.015, min_ndcg_at_10=0.99, min_recall_at_100=0.1")
    )
    saved = run("--embedqa-save-baseline=b.json", model="python:bag:encode?version=1")
    saved.assert_outcomes(failed=1)
    result = run("--embedqa-baseline=b.json", model="python:bag:coarse?version=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines_random(
        [
            "ArguAna: ndcg_at_10 * is below 0.9900*",
            "ArguAna: vs_published=-0.015 can't be judged against the published score: no published scores are known *",
            "ArguAna * ndcg_at_10 * FAIL",
            "ArguAna * recall_at_100 * pass",
            "gate: 1 task, 1 worse, 0 unsure",
        ]
    )


def test_cut_vectors_have_no_published_score(pytester, run):
    """A published score is for whole vectors: the test fails and says what to write instead."""
    pytester.makepyfile(TEST)
    result = run(model=f"python:bag:encode?{MINILM}&dim=32")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["ArguAna: vs_published=-0.015 can't be judged against the published score: it is for *"]
    )
    result.stdout.fnmatch_lines(
        [
            "*it is for the whole task and whole vectors, not for a sample, nor for vectors that are cut or quantised; use an absolute bound (min_<metric>=)."
        ]
    )


def test_checkout_of_the_results_repository(pytester, run):
    """Another source of published scores: a checkout in the public repository's layout."""
    file = pytester.path / "results" / "results" / "org__mine" / "abc" / "ArguAna.json"
    file.parent.mkdir(parents=True)
    result = {"dataset_revision": "c22ab2a", "scores": {"test": [{"hf_subset": "default", "main_score": 0.3}]}}
    file.write_text(json.dumps(result), encoding="utf-8")
    pytester.makepyfile(TEST)
    outcome = run("--embedqa-published", "results", model="python:bag:encode?name=org/mine")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["ArguAna * 0.3000    pass"])


def test_result_of_another_revision_is_noted(pytester, run):
    """What was published for another revision of the model than mteb's own entry names is said beside the verdict."""
    file = pytester.path / "results" / "sentence-transformers__all-MiniLM-L6-v2" / ("a" * 40) / "ArguAna.json"
    file.parent.mkdir(parents=True)
    result = {"dataset_revision": "c22ab2a", "scores": {"test": [{"hf_subset": "default", "main_score": 0.3}]}}
    file.write_text(json.dumps(result), encoding="utf-8")
    pytester.makepyfile(TEST)
    outcome = run("--embedqa-published", "results", model=f"python:bag:encode?{MINILM}")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["*published for revision aaaaaaaa of the model; mteb names 8b3219a9*"])


def test_own_data_has_no_published_score(pytester, run):
    """Data of one's own in a folder that is called as a public task: the leaderboard's score is no bound for it, and is not shown."""
    folder = pytester.path / "ArguAna"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "text": "opening hours"}\n{"_id": "d2", "text": "send it back"}\n'
    )
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "opening hours"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    pytester.makepyfile(
        """
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task("ArguAna", name="mine"), vs_published=-0.015)
        def test_it(): ...
        @mteb_task(retrieval_task("ArguAna", name="mine"), min_ndcg_at_10=0.1)
        def test_bound(): ...
        """
    )
    result = run(model=f"python:bag:encode?{MINILM}")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "mine: vs_published=-0.015 can't be judged * mine is your own data, not the public task; use an absolute bound (min_<metric>=)."
        ]
    )
    result.stdout.no_fnmatch_line("*0.5017*")
