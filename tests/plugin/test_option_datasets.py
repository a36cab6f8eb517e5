"""``--embedqa-datasets``: a folder in the Hub's layout instead of the network."""

from __future__ import annotations

import pytest

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("{task}", min_{metric}=0.01{more})
    def test_it(): ...
"""


def test_folder_that_is_not_there(pytester, run):
    """A mistyped folder is a usage error, not a run full of skips."""
    result = run("--embedqa-datasets", "nowhere", data=False)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--embedqa-datasets: nowhere does not exist. Name an existing folder or file.*"])


def test_environment_and_ini(pytester, run, hub, monkeypatch):
    """The folder can come from EMBEDQA_DATASETS or, relative to the ini file, from embedqa_datasets."""
    pytester.makepyfile(TEST.format(task="ArguAna", metric="ndcg_at_10", more=""))
    pytester.makeini("[pytest]\nembedqa_datasets = hub\n")
    run(data=False).assert_outcomes(passed=1)
    (pytester.path / "tox.ini").unlink()
    monkeypatch.setenv("EMBEDQA_DATASETS", str(hub))
    run(data=False).assert_outcomes(passed=1)


def test_ini_folder_is_found_from_any_folder(pytester, run, monkeypatch):
    """A run that starts in a subfolder reads the same data: the path is relative to the ini file, not to the shell."""
    tests = pytester.mkdir("tests")
    pytester.makeini("[pytest]\nembedqa_datasets = hub\npythonpath = .\n")
    pytester.makepyfile(**{"tests/test_it": TEST.format(task="ArguAna", metric="ndcg_at_10", more="")})
    monkeypatch.chdir(tests)
    run(data=False).assert_outcomes(passed=1)


def test_corrupt_line_is_named(pytester, run, hub):
    """A line that is not JSON is named with file and number."""
    file = hub / "mteb/stsbenchmark-sts/test.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines[:6], lines[6][:20] + "\n", *lines[7:]]), encoding="utf-8")
    pytester.makepyfile(TEST.format(task="STSBenchmark", metric="spearman", more=""))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stsbenchmark-sts/test.jsonl:7: not valid JSON: *"])


def test_missing_subset_is_missing_data(pytester, run):
    """A folder that lacks a language of the task says which."""
    pytester.makepyfile(TEST.format(task="SIB200ClusteringS2S", metric="v_measure", more=", subsets=['deu_Latn']"))
    result = run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*mteb/sib200 lacks a part that the task needs*deu_Latn*"])


def test_folder_that_pytest_takes_for_the_project_is_refused(pytester, run, hub, tmp_path_factory):
    """pytest reads `--embedqa-datasets DIR` as a test folder before it knows the option: say so, don't test another model."""
    data = tmp_path_factory.mktemp("elsewhere")
    pytester.makeini("[pytest]\nembedqa_model = python:bag:encode?name=from-ini\n")
    pytester.makepyfile("def test_it(encoder): assert encoder.name == 'from-ini'")
    for option in ("--embedqa-datasets", "--embedqa-model"):
        result = pytester.runpytest_inprocess(option, str(data))
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"*pytest took '{data}' for a test folder and read no configuration. Write {option}={data}, with '='.*"]
        )
    pytester.runpytest_inprocess(f"--embedqa-datasets={data}").assert_outcomes(passed=1)
