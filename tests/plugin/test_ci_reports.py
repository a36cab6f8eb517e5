"""What a run leaves in CI: JUnit, JSON, the page, the summary of the job and annotations, the same under xdist."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ET

import pytest

from pytest_embedqa.reports.run import FORM

TEST = """
    import pytest
    from pytest_embedqa import mteb_task

    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_search(): ...

    @mteb_task("STSBenchmark", min_spearman=0.999)
    def test_similarity(): ...

    @mteb_task("SciFact", min_ndcg_at_10=0.5)
    def test_without_data(): ...

    def test_norm(encoder):
        assert encoder.dim == 64

    @pytest.mark.parametrize("number", range(2))
    def test_other(number): ...
"""
OUTCOMES = {"test_search": "passed", "test_similarity": "failed", "test_without_data": "skipped", "test_norm": "passed"}


@pytest.fixture
def ci(pytester, run, monkeypatch):
    """Runs as GitHub's actions would; returns what pytest printed, and reads what was written."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "GITHUB_SHA"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_it=TEST)

    def run_it(*arguments, actions=True):
        if actions:
            monkeypatch.setenv("GITHUB_ACTIONS", "true")
            monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
        return run("--junitxml=junit.xml", "--embedqa-json=run.json", *arguments)

    return run_it


def read_json(path):
    """JSON in the strict sense."""

    def refuse(name):
        pytest.fail(f"{name} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(params=[(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["one process", "xdist"])
def written(request, pytester, ci):
    """A run of all of them, in one process and in two."""
    if request.param:
        pytest.importorskip("xdist")
    result = ci(*request.param)
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    return result


def test_all_reports_of_a_run_agree(pytester, written):
    """JUnit and JSON have each verdict with value, bound and outcome; summary and annotations name what failed, once."""
    told = read_json(pytester.path / "run.json")
    assert told["form"] == FORM == 1
    assert {test["id"].rpartition("::")[2]: test["outcome"] for test in told["tests"]} == OUTCOMES
    assert told["others"] == {"passed": 2}
    assert told["settings"]["models"] == ["python:bag:encode"]
    verdicts = {one["task"]: one for test in told["tests"] for one in test["facts"].get("verdict", ())}
    assert {task: one["outcome"] for task, one in verdicts.items()} == {"ArguAna": "pass", "STSBenchmark": "fail"}

    properties = ET.parse(pytester.path / "junit.xml").iterfind(".//testcase/properties/property")
    in_xml = [json.loads(one.get("value")) for one in properties if one.get("name") == "embedqa.verdict"]
    assert {one["task"]: one for one in in_xml} == verdicts
    assert (verdicts["ArguAna"]["bound"], verdicts["STSBenchmark"]["bound"]) == (0.5, 0.999)
    assert verdicts["STSBenchmark"]["value"] < 0.999 > verdicts["ArguAna"]["value"] - 0.5 > 0

    summary = (pytester.path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## Embedding quality: ❌ failed, 1 of 4 tests\n")
    assert f"| ❌ fail | `STSBenchmark` | `cosine_spearman` | {verdicts['STSBenchmark']['value']:.4f} |" in summary
    assert "no data: mteb/scifact is not in" in summary

    commands = [line for line in written.outlines if line.startswith("::")]
    assert [line.split("::")[1].split(",title")[0] for line in commands] == [
        "error file=test_it.py,line=7",
        "notice file=test_it.py,line=10",
    ]
    assert f"STSBenchmark: spearman {verdicts['STSBenchmark']['value']:.4f} is below" in commands[0]


def test_a_second_run_of_a_step_adds_to_its_summary(pytester, ci):
    """GitHub shows all that a step appends."""
    (pytester.path / "summary.md").write_text("# Mine\n", encoding="utf-8")
    ci("-k", "norm")
    ci("-k", "norm")
    text = (pytester.path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# Mine\n")
    assert text.count("## Embedding quality: ✅ passed, 1 test\n") == 2


def test_elsewhere_nothing_is_said_to_github(pytester, ci):
    """Without GitHub's variables there is no summary and no workflow command; JUnit and JSON are as asked."""
    result = ci("-k", "similarity", actions=False)
    result.stdout.no_fnmatch_line("::error*")
    assert {"junit.xml", "run.json"} <= {path.name for path in pytester.path.iterdir()}
    assert not (pytester.path / "summary.md").exists()


def test_a_run_without_tests_of_embeddings_says_nothing(pytester, ci):
    """Where the plugin is merely installed, a job's summary stays its own."""
    result = ci("-k", "other")
    result.assert_outcomes(passed=2, deselected=4)
    assert not (pytester.path / "summary.md").exists()
    result.stdout.no_fnmatch_line("::*")


def test_files_are_annotated_from_the_root_of_the_repository(pytester, ci, monkeypatch):
    """The checkout is a folder above pytest's rootdir, and pytest is called in a folder below it."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    pytester.makeini("[pytest]")
    pytester.mkdir("below")
    monkeypatch.chdir(pytester.path / "below")
    monkeypatch.syspath_prepend(pytester.path)
    ci("../test_it.py", "-k", "similarity").stdout.fnmatch_lines(
        [f"::error file={pytester.path.name}/test_it.py,line=7,*"]
    )


def test_a_summary_that_cannot_be_written_is_said_and_fails_nothing(pytester, ci, monkeypatch):
    """The quality is as it is, whatever the runner's disk is like."""
    pytester.mkdir("summary.md")
    result = ci("-k", "norm")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*summary of this job could not be written: *summary.md: *GITHUB_STEP_SUMMARY*"])


def test_two_runs_of_a_step_that_end_at_once_stay_below_its_limit(pytester, ci):
    """A run waits while another writes, and measures then what there is: here too much for it, which it says."""
    fcntl = pytest.importorskip("fcntl")
    summary = pytester.path / "summary.md"
    with summary.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def write_and_let_go():
            other.write("x" * (1024 * 1024 - 10))
            other.flush()
            fcntl.flock(other, fcntl.LOCK_UN)

        timer = threading.Timer(3, write_and_let_go)
        timer.start()
        result = ci("-k", "norm")
        timer.join()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*summary of this job has no room for this run: *summary.md is full"])
    assert summary.stat().st_size == 1024 * 1024 - 10


def test_a_document_does_not_speak_to_the_job(pytester, ci):
    """Neither in the text of a failure nor in the table of probes is a line of the log a command, but for our own."""
    folder = pytester.mkdir("docs")
    (folder / "##[group]returns.md").write_text("::notice title=forged::a document speaks\n\nReturns take a week.\n")
    (pytester.path / "faq.probe.yaml").write_text(
        "corpus: docs\nprobes:\n"
        '  - {name: "::warning::a name", ask: How long do returns take?, expect: {contains: 30 days}}\n'
        "  - {name: holds, ask: How long do returns take?, expect: {contains: a week}}\n"
    )
    lines = ci("faq.probe.yaml").outlines
    commands = [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert len(commands) == 1
    assert commands[0].startswith("::error file=faq.probe.yaml,line=3,title=embedding quality")
    assert any(line.strip().startswith("\\::notice title=forged::a document speaks") for line in lines)


def test_a_score_that_is_no_number_is_null(pytester, ci):
    """A reader of JSON meets no NaN, which is no JSON."""
    pytester.makepyfile(
        test_it="""
        def test_it(encoder, record_property):
            record_property("embedqa.note", '{"text": "so it is", "value": NaN, "all": [Infinity, 1.5]}')
        """
    )
    ci()
    (test,) = read_json(pytester.path / "run.json")["tests"]
    assert test["facts"]["note"] == [{"text": "so it is", "value": None, "all": [None, 1.5]}]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        (
            "--embedqa-json=run.txt",
            "--embedqa-json: run.txt is not the name of a .json file. Write, for instance, *=report.json.",
        ),
        (
            "--embedqa-html=page",
            "--embedqa-html: page is not the name of a .html file. Write, for instance, *=report.html.",
        ),
        ("--embedqa-json=dir.json", "--embedqa-json: dir.json is not the name of a .json file. *"),
        ("--embedqa-json=test_it.py/run.json", "--embedqa-json: test_it.py/run.json can't be written: *test_it.py *"),
    ],
)
def test_a_place_that_cannot_be_written_stops_the_run_before_it(pytester, run, argument, problem):
    """A wrong suffix, a folder, and a file where a folder would have to be: said before anything is evaluated."""
    pytester.makepyfile(test_it=TEST)
    pytester.mkdir("dir.json")
    result = run(argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{problem}"])


def test_folders_of_a_report_are_made(pytester, run):
    """``--embedqa-json=out/today/run.json`` needs no mkdir before it, and the run says where it wrote."""
    pytester.makepyfile(test_it=TEST)
    run("-k", "norm", "--embedqa-json=out/today/run.json").stdout.fnmatch_lines(["embedqa: wrote *out/today/run.json"])
    assert read_json(pytester.path / "out" / "today" / "run.json")["tests"]


def test_a_report_that_cannot_be_written_in_the_end_fails_the_run(pytester, run):
    """A test that removes the folder's place: the run says so, and exits with 1 though all tests passed."""
    pytester.makepyfile(
        test_it="""
        from pathlib import Path
        def test_it(encoder): Path("out").write_text("a file")
        """
    )
    result = run("--embedqa-json=out/run.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["embedqa: *run.json could not be written: *--embedqa-json=PATH names another place."])


def test_text_that_no_file_can_hold_breaks_no_report(pytester, ci):
    """Half a surrogate pair, as JSON data may have, is in a failure's text: every report is written all the same."""
    pytester.makepyfile(test_it="def test_it(encoder): raise ValueError('\\ud800' + chr(0xd800) + ' & more')")
    result = ci()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [test["outcome"] for test in read_json(pytester.path / "run.json")["tests"]] == ["failed"]
    assert "& more" in (pytester.path / "summary.md").read_text(encoding="utf-8")


def test_the_page_is_written(pytester, run):
    """``--embedqa-html`` leaves one page with the verdicts."""
    for package in ("jinja2", "vl_convert"):
        pytest.importorskip(package)
    pytester.makepyfile(test_it=TEST)
    run("-k", "similarity", "--embedqa-html=page.html").assert_outcomes(failed=1, deselected=5)
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert "STSBenchmark" in page
    assert "cosine_spearman" in page


def test_the_page_names_the_extra_that_it_needs(pytester, run, monkeypatch):
    """Where the extra is not installed, that is said before the run, with the command."""
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "vl_convert" else there(name, *more)
    )
    pytester.makepyfile(test_it=TEST)
    result = run("--embedqa-html=page.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "*--embedqa-html needs the package 'vl_convert', which is not installed.",
            'Install it with:  pip install "pytest-embedqa[[]report]"',
        ]
    )
