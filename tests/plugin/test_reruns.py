"""Tests that are run again (pytest-rerunfailures): the last try stands, in every report."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("pytest_rerunfailures")

# Both tests fail first; one holds in the end, the other never does. Its tries differ in their value.
SUITE = """
    from pytest_embedqa import rag_probe

    TRIES = []

    @rag_probe(ask="How long may I send things back?", corpus="docs", expect={"contains": "30 days"})
    def test_body():
        TRIES.append(1)
        assert len(TRIES) > 1

    @rag_probe(ask="How long may I send things back?", corpus="docs", expect={"contains": "99 days"})
    def test_never(): ...
"""


@pytest.fixture
def rerun(pytester, run, monkeypatch):
    """Runs the suite with two more tries a test, as in a job on GitHub; returns its result, JSON, JUnit and summary."""
    (pytester.mkdir("docs") / "returns.md").write_text("You may send things back within 30 days.")
    pytester.makepyfile(test_tries=SUITE)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))

    def run_it(*arguments):
        result = run("--reruns=2", "--embedqa-json=run.json", "--junitxml=junit.xml", *arguments, data=False)
        told = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))
        cases = ET.parse(pytester.path / "junit.xml").iter("testcase")
        return result, told, list(cases), (pytester.path / "summary.md").read_text(encoding="utf-8")

    return run_it


@pytest.mark.parametrize("workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["one process", "xdist"])
def test_each_report_tells_the_last_try(rerun, workers):
    """Two probes, each with one verdict, in the table, JSON, JUnit, the summary and the annotations."""
    result, told, cases, summary = rerun(*workers)
    result.stdout.fnmatch_lines(["1 of 2 probes hold"])
    tests = {one["id"].rpartition("::")[2]: one for one in told["tests"]}
    assert {name: one["outcome"] for name, one in tests.items()} == {"test_body": "passed", "test_never": "failed"}
    assert [{name: len(facts) for name, facts in one["facts"].items()} for one in tests.values()] == [
        {"verdict": 1, "encoder": 1, "probe": 1}
    ] * 2
    # pytest-rerunfailures writes a case for each try.
    assert len(cases) == 5
    verdicts = [sum(one.get("name") == "embedqa.verdict" for one in case.iter("property")) for case in cases]
    assert verdicts == [1] * 5
    assert summary.startswith("## Embedding quality: ❌ failed, 1 of 2 tests\n")
    assert summary.count("| `test_never` |") == summary.count("| `test_body` |") == 1
    errors = [line for line in result.outlines if line.startswith("::error")]
    assert len(errors) == 1


def test_what_others_record_is_left_alone(pytester, rerun):
    """Properties of the tests' own, which grow with each try, are none of our business."""
    pytester.makepyfile(
        test_tries="""
        TRIES = []
        def test_own(encoder, record_property):
            TRIES.append(1)
            record_property("mine", len(TRIES))
            assert len(TRIES) > 1
        """
    )
    _, _, cases, _ = rerun()
    assert [[one.get("value") for one in case.iter("property") if one.get("name") == "mine"] for case in cases] == [
        ["1"],
        ["1", "2"],
    ]


def test_the_gate_compares_each_try(pytester, run):
    """A pipeline that is back in the second try is as good as its baseline, and a saved baseline has the last try."""
    pytester.makeconftest("""
        import pytest
        from pathlib import Path
        @pytest.fixture
        def retriever(encoder):
            def pipeline(query, k):
                down = Path("down").read_text() if Path("down").exists() else ""
                Path("down").write_text(down[1:])
                return ["nothing" if down else "within 30 days"]
            return pipeline
    """)
    probes = [f"{{name: back {at}, ask: how long {at}, expect: {{contains: 30 days}}}}" for at in range(12)]
    (pytester.path / "faq.probe.yaml").write_text(f"probes: [{', '.join(probes)}]", encoding="utf-8")
    whole = ("faq.probe.yaml", "-k", "pass_rate", "--reruns=1")
    run(*whole, "--embedqa-save-baseline=base.json").assert_outcomes(passed=1, deselected=12)
    (pytester.path / "down").write_text("x" * 12)
    result = run(*whole, "--embedqa-baseline=base.json", "--embedqa-save-baseline=again.json")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1, "deselected": 12}
    scores = [json.loads((pytester.path / name).read_text())["tasks"] for name in ("base.json", "again.json")]
    assert scores[0] == scores[1]


def test_an_expected_failure_of_one_try_excuses_no_other(run, pytester):
    """A model that answered in the first try, and whose pipeline raises in the second, has an error and no expected miss."""
    (pytester.path / "faq.probe.yaml").write_text(
        "probes: [{name: a, ask: b, expect: {contains: bread}, expected_failures: {find: knows no bread}}]",
        encoding="utf-8",
    )
    pytester.makeconftest("""
        import pytest

        CALLS = []

        @pytest.fixture
        def retriever():
            def find(query, k):
                CALLS.append(query)
                if len(CALLS) > 1:
                    raise OSError("gone")
                return ["bread"]
            return find
    """)
    result = run("faq.probe.yaml", "--reruns=1", "-o", "xfail_strict=true", data=False)
    result.assert_outcomes(errors=1)
    assert "1 rerun" in result.stdout.str()
