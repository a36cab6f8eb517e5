"""The stage that lost an expected passage: in failures, counted below tables and in every report, under xdist, or not at all."""

from __future__ import annotations

import json

import pytest

TEXTS = {
    "bread.md": "Dough rises with yeast. Bake the loaf for 40 minutes in a hot oven.",
    "rain.md": "Clouds bring heavy rain. Take an umbrella against the storm.",
    "stone.md": "Granite is a hard stone from deep below.",
    "ship.md": "The ship sails at noon with nine sailors.",
    "snow.md": "Snow closes the pass in January.",
    "seal.md": "The keeper feeds two seals.",
    "moon.md": "The moon turns around the earth.",
    "late.md": "The loaf in a hot oven, the dough with yeast: nothing to do with it.",
}
BAKE = "ask: 'dough with yeast, bake the loaf 40 minutes in a hot oven'"
HOLDS = f"{{name: holds, {BAKE}, expect: {{contains: 40 minutes}}}}"
CUT = f"{{name: cut, {BAKE}, expect: {{contains: nothing to do with it}}}}"
NOWHERE = f"{{name: nowhere, {BAKE}, expect: {{contains: no such text}}}}"
REJECTED = f"{{name: rejected, {BAKE}, reject: {{contains: 40 minutes}}}}"


@pytest.fixture
def faq(pytester):
    """Writes a probe file beside a small corpus."""
    (pytester.path / "documents").mkdir()
    for name, text in TEXTS.items():
        (pytester.path / "documents" / name).write_text(text, encoding="utf-8")

    def write(*probes, retrieve="k: 1", head=""):
        lines = ["corpus: documents", f"retrieve: {{{retrieve}}}", head, "probes:", *(f"  - {one}" for one in probes)]
        (pytester.path / "faq.probe.yaml").write_text("\n".join(lines), encoding="utf-8")

    return write


LOST = {
    "cut": "by the cut at k: 'nothing to do with it' is at rank 2 of 8 by exact search. k=2 would bring it back.",
    "nowhere": "in extraction: 'no such text' is in none of the 8 documents, nor in the 8 passages. "
    "Check its text, and how documents are read.",
}


def test_failures_name_the_stage_and_reports_count_it(faq, run, pytester, monkeypatch):
    """In the terminal, in JSON, on the page and in GitHub's summary; a probe that holds has none."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    faq(HOLDS, CUT, NOWHERE, REJECTED)
    result = run("faq.probe.yaml", "--embedqa-json=r.json", "--embedqa-html=r.html")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            f"  lost       {LOST['cut']}",
            f"  lost       {LOST['nowhere']}",
            "  let in     by the model: '40 minutes' is at rank 1 of 8 by exact search.",
            "1 of 4 probes hold",
            "lost: 1 in extraction, 1 by the cut at k",
        ]
    )
    report = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))
    probes = {one["name"]: one for test in report["tests"] for one in test["facts"].get("probe", ())}
    assert {name: [loss["stage"] for loss in one["lost"]] for name, one in probes.items()} == {
        "holds": [],
        "cut": ["cut"],
        "nowhere": ["extraction"],
        "rejected": ["model"],
    }
    page = (pytester.path / "r.html").read_text(encoding="utf-8")
    assert "1 of 4 probes hold; lost: 1 in extraction, 1 by the cut at k." in page
    assert "<dt>let in</dt>" in page
    summary = (pytester.path / "summary.md").read_text(encoding="utf-8")
    assert "- `faq.probe.yaml: lost: 1 in extraction, 1 by the cut at k`" in summary
    assert f"Lost {LOST['cut']}" in summary


def test_a_pass_rate_that_fails_counts_stages(faq, run):
    """Where the share of all probes decides, its failure says at which stages the others were lost."""
    faq(HOLDS, CUT, NOWHERE, head="pass_rate: 0.9")
    result = run("faq.probe.yaml")
    result.assert_outcomes(passed=1, xfailed=2, failed=1)
    result.stdout.fnmatch_lines(["  missed     cut, nowhere", "  lost       1 in extraction, 1 by the cut at k"])
    off = run("faq.probe.yaml", "--embedqa-diagnose=off")
    off.stdout.no_fnmatch_line("  lost *")


def test_nothing_is_followed_without_a_diagnosis(faq, run):
    """``--embedqa-diagnose=off`` leaves the stages out."""
    faq(CUT, REJECTED)
    result = run("faq.probe.yaml", "--embedqa-diagnose=off")
    result.assert_outcomes(failed=2)
    for line in ("  lost *", "  let in *", "lost: *"):
        result.stdout.no_fnmatch_line(line)


def test_a_real_index_of_a_probe_file(faq, run):
    """The index that a file names answers, and is named where it loses what exact search finds."""
    pytest.importorskip("faiss")
    faq(HOLDS, CUT, retrieve="k: 2, index: 'faiss:Flat'")
    exact = run("faq.probe.yaml")
    exact.assert_outcomes(passed=2)
    exact.stdout.fnmatch_lines(["searched by dense in faiss:Flat; scores: cosine"])
    faq(HOLDS, CUT, retrieve="k: 2, index: 'faiss:IVF8,Flat?nprobe=1'")
    starved = run("faq.probe.yaml")
    starved.assert_outcomes(passed=1, failed=1)
    starved.stdout.fnmatch_lines(
        [
            "  lost       by the index: * is at rank * of 8 by exact search, not among the * of the index faiss:IVF8,Flat[?]nprobe=1. *"
        ]
    )
    starved.stdout.fnmatch_lines(["lost: 1 by the index"])
    # A way without vectors has no need of it.
    run("faq.probe.yaml", "--embedqa-retriever=bm25").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("retrieve", "says"),
    [
        ("index: 'fais:HNSW32'", "*faq.probe.yaml:2: index='fais:HNSW32' names no index. Did you mean 'faiss'?*"),
        (
            "index: 'faiss:HNSW32?efsearch=9'",
            "*faq.probe.yaml:2: *there is no setting 'efsearch'. Did you mean 'efSearch'?*",
        ),
        *(
            (
                f"index: '{spec}'",
                "*faq.probe.yaml:2: index='*' is on a server, and a probe file may only name an index in this process.*",
            )
            for spec in (
                "pgvector:hnsw",
                "chroma?url=http://search.example.org",
                "milvus:HNSW?uri=http://search.example.org",
                "qdrant?url=http://search.example.org",
            )
        ),
    ],
)
def test_a_wrong_index_stops_before_anything_is_loaded(faq, run, retrieve, says):
    """Client and settings are looked up at collection, with file and line; a file starts and reaches no server."""
    faq(HOLDS, retrieve=retrieve)
    result = run("faq.probe.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_pipeline_of_ones_own_is_asked_once_more_if_told_to(faq, run, pytester):
    """A larger k says whether it has the answer at all; what it raises then changes nothing."""
    faq(CUT)
    pytester.makeconftest("""
        import pytest
        asked = []

        @pytest.fixture
        def retriever():
            def search(query, k):
                asked.append(k)
                if len(asked) > 2:
                    raise RuntimeError("too many")
                return ["early", "nothing to do with it"][:k]
            return search
    """)
    result = run("faq.probe.yaml", "--embedqa-diagnose=always")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  lost       by the cut at k: * is at rank 2 of 2 by its search. k=2 would bring it back."]
    )


def test_what_fails_when_asked_again_loses_no_failure(faq, run, pytester):
    """The failure stands as it is."""
    faq(CUT)
    pytester.makeconftest("""
        import pytest

        @pytest.fixture
        def retriever():
            return lambda query, k: ["early"] if k == 1 else 1 / 0
    """)
    result = run("faq.probe.yaml", "--embedqa-diagnose=always")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cut: 'nothing to do with it' is not among the 1 passages that came back."])
    result.stdout.no_fnmatch_line("*ZeroDivisionError*")
    result.stdout.no_fnmatch_line("  lost *")
