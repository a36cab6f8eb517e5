"""``--embedqa-json``: everything that a run told, as strict JSON."""

from __future__ import annotations

import json

import pytest

SUITE = """
    import pytest
    from pytest_embedqa import mteb_task

    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_holds(): ...

    @mteb_task("ArguAna", max_ndcg_at_10=0.1, min_recall_at_10=0.1)
    def test_fails(): ...

    @pytest.mark.xfail(reason="known to be high", strict=True)
    @mteb_task("ArguAna", max_ndcg_at_10=0.1)
    def test_expected(): ...

    @mteb_task("SciFact", min_ndcg_at_10=0.1)
    def test_without_data(): ...

    @pytest.fixture
    def broken(): raise RuntimeError("no server here")

    def test_error(encoder, broken): ...

    def test_body_fails(encoder):
        assert encoder.dim == 1

    def test_unrelated(): ...
    def test_unrelated_too(): assert False
"""
OUTCOMES = {
    "test_holds": "passed",
    "test_fails": "failed",
    "test_expected": "xfailed",
    "test_without_data": "skipped",
    "test_error": "error",
    "test_body_fails": "failed",
}


def read(path):
    """A file of strict JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def written(pytester, run):
    """Run the suite and read what it wrote."""

    def run_and_read(*arguments):
        pytester.makepyfile(test_suite=SUITE)
        run("--embedqa-json=out/run.json", "--embedqa-missing-data=skip", *arguments)
        return read(pytester.path / "out" / "run.json")

    return run_and_read


def by_name(facts):
    """Tests by their names."""
    return {one["id"].partition("::")[2]: one for one in facts["tests"]}


def test_every_test_is_told_with_its_outcome(written):
    """Tests of embedding quality one by one, with file, line, text and facts; others are only counted."""
    facts = written()
    tests = by_name(facts)
    assert {name: one["outcome"] for name, one in tests.items()} == OUTCOMES
    assert facts["others"] == {"passed": 1, "failed": 1}
    assert {one["capability"] for one in tests.values()} == {"quality", "encoder"}
    assert tests["test_fails"]["file"] == "test_suite.py"
    assert tests["test_holds"]["line"] == 4
    assert tests["test_fails"]["text"].startswith("ArguAna: ndcg_at_10")
    assert tests["test_expected"]["text"] == "known to be high"
    assert "mteb/scifact" in tests["test_without_data"]["text"]
    assert "no server here" in tests["test_error"]["text"]
    first, second = tests["test_fails"]["facts"]["verdict"]
    outcomes = {one["requirement"]: one["outcome"] for one in (first, second)}
    assert outcomes == {"max_ndcg_at_10=0.1": "fail", "min_recall_at_10=0.1": "pass"}
    assert first["value"] == pytest.approx(tests["test_holds"]["facts"]["task"][0]["score"])


def test_a_task_is_told_part_by_part(written):
    """Type, measure, data, and the score of each split and subset with its languages."""
    (task,) = by_name(written())["test_holds"]["facts"]["task"]
    assert (task["type"], task["measure"]) == ("Retrieval", "ndcg_at_10")
    assert task["parts"] == [{"split": "test", "subset": "default", "languages": ["eng"], "score": task["score"]}]
    assert task["data_revision"].startswith("sha256:")


def test_it_says_what_was_run_and_where(written):
    """Form, settings, packages, the encoder's identity and the time."""
    facts = written("--embedqa-strict")
    assert facts["form"] == 1
    assert facts["settings"]["models"] == ["python:bag:encode"]
    assert facts["settings"]["strict"] is True
    assert facts["environment"]["packages"]["mteb"]
    assert by_name(facts)["test_holds"]["facts"]["encoder"][0]["full_dim"] == 64
    assert facts["started"]
    assert facts["seconds"] > 0


@pytest.mark.slow
def test_workers_tell_the_same(written):
    """Under pytest-xdist the file has the same tests, outcomes and verdicts."""
    serial, parallel = by_name(written()), by_name(written("-n", "2"))
    assert {name: one["outcome"] for name, one in parallel.items()} == OUTCOMES
    for name, one in serial.items():
        assert one["facts"].get("verdict") == parallel[name]["facts"].get("verdict")
        assert (one["file"], one["line"]) == (parallel[name]["file"], parallel[name]["line"])


def test_a_number_that_is_none_is_null(pytester, run):
    """NaN is no JSON: a score that could not be computed is null, and its test has failed."""
    pytester.makepyfile(
        test_suite="""
        from pytest_embedqa import sts_task, mteb_task
        @mteb_task(sts_task("same.jsonl"), min_cosine_spearman=0.5)
        def test_constant(): ...
        """
    )
    rows = [{"sentence1": "a", "sentence2": "a", "score": 5.0}, {"sentence1": "b", "sentence2": "b", "score": 1.0}]
    (pytester.path / "same.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("--embedqa-json=run.json")
    (test,) = read(pytester.path / "run.json")["tests"]
    assert test["facts"]["verdict"][0]["value"] is None


def test_files_that_cannot_be_collected_are_told(pytester, run):
    """A file with an error in it is one in the report too, with its text."""
    pytester.makepyfile(test_broken="import nothing_of_that_name")
    run("--embedqa-json=run.json")
    (test,) = json.loads((pytester.path / "run.json").read_text())["tests"]
    assert (test["outcome"], test["capability"]) == ("error", "")
    assert "nothing_of_that_name" in test["text"]


def test_a_run_without_our_tests_writes_an_empty_report(pytester, run):
    """Nothing ran is a fact too: the file is there and says so."""
    pytester.makepyfile("def test_unrelated(): ...")
    run("--embedqa-json=run.json")
    facts = json.loads((pytester.path / "run.json").read_text())
    assert (facts["tests"], facts["others"]) == ([], {"passed": 1})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            "run.txt",
            "*--embedqa-json: run.txt is not the name of a .json file. Write, for instance, --embedqa-json=report.json.",
        ),
        ("folder.json", "*--embedqa-json: folder.json is not the name of a .json file*"),
        ("file.txt/run.json", "*--embedqa-json: file.txt/run.json can't be written: *file.txt does not allow it.*"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_runs(pytester, run, given, problem):
    """A long run must not end in a report that can't be written."""
    (pytester.path / "folder.json").mkdir()
    (pytester.path / "file.txt").write_text("")
    pytester.makepyfile(test_suite=SUITE)
    result = run(f"--embedqa-json={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])


def test_what_could_not_be_written_in_the_end_fails_the_run(pytester, run):
    """A folder that takes the place of the file during the run: the summary says so, and the run is not green."""
    pytester.makepyfile(
        """
        from pathlib import Path
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.1)
        def test_holds():
            Path("run.json").mkdir()
        """
    )
    result = run("--embedqa-json=run.json")
    result.stdout.fnmatch_lines(["embedqa: *run.json could not be written: Is a directory. --embedqa-json=PATH names*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
