"""``--embedqa-retriever``: the same probe files, searched in another way."""

from __future__ import annotations

import pytest


@pytest.fixture
def faq(pytester):
    """A probe file that dense retrieval passes and BM25 can't: no word in common."""
    folder = pytester.path / "documents"
    folder.mkdir()
    (folder / "bread.md").write_text("Dough rises with yeast.", encoding="utf-8")
    (folder / "rain.md").write_text("Clouds bring heavy rain.", encoding="utf-8")
    (pytester.path / "faq.probe.yaml").write_text(
        "corpus: documents\nprobes:\n"
        "  - {name: words, ask: what makes dough rise, expect: {contains: yeast}}\n"
        "  - {name: no words, ask: zzz, expect: {contains: yeast}, expected_failures: {bm25: no word in common}}\n",
        encoding="utf-8",
    )


def test_another_way_to_search(faq, run):
    """All files are searched as the option says; what they expect of it is not strict."""
    run("faq.probe.yaml").assert_outcomes(passed=2)
    result = run("faq.probe.yaml", "--embedqa-retriever=bm25", "-rx")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["no words * nothing came back * xfail", "XFAIL*no word in common*"])


def test_a_file_that_says_how(faq, run, pytester):
    """A YAML file with what stands under retrieve serves all probe files."""
    (pytester.path / "how.yaml").write_text("by: rrf\nk: 1\ncandidates: 1\n", encoding="utf-8")
    run("faq.probe.yaml", "--embedqa-retriever=how.yaml", "-k", "not no").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("bm52", "*'bm52' is no way to search: dense, bm25, rerank, rrf, openwebui:URL, or a YAML file*"),
        ("missing.yaml", "*'missing.yaml' is no way to search*"),
        ("bad.yaml", "*bad.yaml*unknown key 'kk' in retrieve.*"),
        ("openwebui:http://127.0.0.1:9?hybird=true", "*hybird*"),
    ],
)
def test_a_wrong_value_is_a_usage_error(faq, run, pytester, given, message):
    """Nothing is collected; the accepted forms are shown."""
    (pytester.path / "bad.yaml").write_text("kk: 3\n", encoding="utf-8")
    result = run("faq.probe.yaml", f"--embedqa-retriever={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
