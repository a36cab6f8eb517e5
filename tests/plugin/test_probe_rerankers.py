"""Rerankers in probe files, and models of other kinds and whole systems under test: a real run of each."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def faq(hub, pytester):
    """Writes a probe file that is searched in some way; each passage is a file."""
    documents = pytester.path / "documents"
    documents.mkdir()
    for name, text in {
        "bread.md": "dough rises with yeast and dough rests",
        "oven.md": "dough goes into the hot oven with a loaf of rye",
        "rain.md": "clouds bring heavy rain",
    }.items():
        (documents / name).write_text(text, encoding="utf-8")

    def write(retrieve, *, expect="contains: rye, rank: 1"):
        (pytester.path / "faq.probe.yaml").write_text(
            f"corpus: documents\nretrieve: {{{retrieve}}}\nprobes:\n"
            f"  - {{name: baking, ask: dough into the oven, expect: {{{expect}}}}}\n",
            encoding="utf-8",
        )

    return write


def facts_of(pytester):
    """What the JSON report says of the probe."""
    report = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))
    (probe,) = [one for test in report["tests"] for one in test["facts"].get("probe", ())]
    return probe


def test_a_reranker_of_a_probe_file(faq, run, pytester):
    """Nothing is imported for it without permission; with it, reports name both stages and the scale of the scores."""
    faq("by: bm25, reranker: 'python:bag:other'")
    result = run("faq.probe.yaml")
    result.assert_outcomes(errors=1)
    refused = (
        "*faq.probe.yaml:2: the reranker 'python:bag:other' is not loaded: the engine 'python' imports a module, and a probe "
        "file may only name a model in files. If you trust it, allow it on the command line:  --embedqa-allow-spec=python:bag:other"
    )
    result.stdout.fnmatch_lines([refused])
    result = run(
        "faq.probe.yaml",
        "--embedqa-allow-spec=python:bag:other",
        "--embedqa-json=r.json",
        "--embedqa-html=r.html",
    )
    result.assert_outcomes(passed=1)
    by = "dense 'python:bag:other' on bm25"
    result.stdout.fnmatch_lines(["1 of 1 probes hold", f"searched by {by}; scores: cosine"])
    assert (facts_of(pytester)["by"], facts_of(pytester)["scale"]) == (by, "cosine")
    assert "searched by dense &#39;python:bag:other&#39; on bm25; scores: cosine." in (
        pytester.path / "r.html"
    ).read_text(encoding="utf-8")


def test_a_model_of_the_command_line_needs_no_permission(faq, run):
    """The run loads it anyway."""
    faq("by: rerank, reranker: 'python:bag:encode'")
    run("faq.probe.yaml").assert_outcomes(passed=1)


@pytest.mark.parametrize("way", ["rerank", "how.yaml"])
def test_the_command_line_does_not_open_a_way_around(faq, run, pytester, way):
    """Another way to search keeps the file's reranker, and the file of a way is no more trusted than a probe file."""
    if way == "rerank":
        faq("by: bm25, reranker: 'python:bag:other'")
        run("faq.probe.yaml", "--embedqa-retriever=rerank").assert_outcomes(errors=1)
        faq("by: bm25")
        run("faq.probe.yaml", "--embedqa-retriever=bm25").assert_outcomes(passed=1)
        return
    faq("by: bm25")
    (pytester.path / way).write_text("{by: rerank, reranker: 'python:bag:other'}\n", encoding="utf-8")
    result = run("faq.probe.yaml", f"--embedqa-retriever={way}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*how.yaml: the reranker 'python:bag:other' is not loaded: *"])
    run("faq.probe.yaml", f"--embedqa-retriever={way}", "--embedqa-allow-spec=python:bag:other").assert_outcomes(
        passed=1
    )


def test_a_marker_is_code(faq, run, pytester):
    """``@rag_probe`` names any reranker, which is loaded once for all tests."""
    faq("by: bm25")
    pytester.makepyfile("""
        from pytest_embedqa import rag_probe

        def probe(**more):
            return rag_probe(ask="dough into the oven", corpus="documents", retrieve={"by": "rerank", "reranker": "python:bag:other"},
                             expect={"contains": "rye"}, **more)

        @probe()
        def test_once(probe_result):
            assert probe_result.passages[0].source == "oven.md"

        @probe()
        def test_twice(probe_result):
            assert probe_result.rank == 1
    """)
    run().assert_outcomes(passed=3)


def test_a_miss_names_the_stage_that_lost_it(faq, run, pytester):
    """In the failure, below the table, in the JSON report and on the page; not with the diagnosis off."""
    faq("by: rerank, k: 1, candidates: 1", expect="contains: yeast")
    result = run("faq.probe.yaml", "--embedqa-json=r.json", "--embedqa-html=r.html")
    result.assert_outcomes(failed=1)
    line = (
        "by BM25: 'yeast' is at rank 2 of 2 by bm25, not among the 1 of dense. "
        "Its words are in other passages more: meaning beside them (by: rrf) may."
    )
    result.stdout.fnmatch_lines(
        [
            f"*  lost       {line}",
            "*  searched   dense on bm25 (cosine), best 1 of passages of up to 200 tokens, cut by sentences",
            "0 of 1 probes hold",
            "lost: 1 by BM25",
        ]
    )
    (lost,) = facts_of(pytester)["lost"]
    assert (lost["stage"], lost["line"], lost["ranks"][0]["rank"]) == ("bm25", line, 2)
    page = (pytester.path / "r.html").read_text(encoding="utf-8")
    assert "meaning beside them (by: rrf) may." in page
    assert "0 of 1 probes hold; lost: 1 by BM25." in page
    off = run("faq.probe.yaml", "--embedqa-diagnose=off", "--embedqa-json=r.json")
    off.stdout.no_fnmatch_line("*  lost  *")
    off.stdout.no_fnmatch_line("lost: *")
    assert facts_of(pytester)["lost"] == []


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        ("bm25", "bm25"),
        ("hybrid:[bm25][python:bag:encode]", "rrf of bm25 and dense 'python:bag:encode'"),
        ("rerank:[bm25][python:bag:encode]?top_k=2", "dense 'python:bag:encode' on bm25"),
    ],
)
def test_a_system_under_test(faq, run, pytester, spec, by):
    """It searches as its spec says, also with noise and typing errors; the report names it."""
    faq("k: 2")
    with (pytester.path / "faq.probe.yaml").open("a", encoding="utf-8") as file:
        file.write("pass_rate: 1\nrobustness: {noise: {levels: [5], keep: 1}, typos: {}}\n")
    result = run("faq.probe.yaml", "--embedqa-json=r.json", model=spec)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"searched by {by}; scores: *"])
    assert facts_of(pytester)["model"] == spec


def test_a_baseline_of_a_system(faq, run):
    """A system is kept in a baseline, and another is compared with it, probe by probe."""
    faq("k: 1")
    run(
        "faq.probe.yaml",
        "--embedqa-save-baseline=b.json",
        model="hybrid:[bm25][python:bag:encode]",
    ).assert_outcomes(passed=2)
    result = run("faq.probe.yaml", "--embedqa-baseline=b.json", model="rerank:[bm25][python:bag:encode]")
    result.assert_outcomes(passed=2)


def test_dense_is_demanded(faq, run):
    """A file that says ``dense`` refuses another kind with its line."""
    faq("by: dense")
    result = run("faq.probe.yaml", model="bm25")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*faq.probe.yaml:2: retrieve says  by: dense, and 'bm25' has no dense vectors (its kind is bm25)*"]
    )
