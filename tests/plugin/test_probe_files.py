"""``*.probe.yaml``: each probe is a test, and each outcome can be read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

DOCUMENTS = {
    "bread.md": "# Bread\n\nDough rises with yeast. Bake the loaf for 40 minutes in a hot oven.\n",
    "rain.md": "# Rain\n\nClouds bring heavy rain. Take an umbrella against the storm.\n",
    "old/bread.md": "# Bread in 1950\n\nBake the loaf for 90 minutes in a coal oven.\n",
}
HOLDS = "{name: baking time, ask: how long to bake the loaf, expect: {contains: 40 minutes}}"
MISSED = "{name: guitar, ask: tune the guitar strings, expect: {contains: guitar, source: bread.md}}"


@pytest.fixture
def faq(pytester):
    """Writes a probe file beside a small corpus."""
    for name, text in DOCUMENTS.items():
        file = pytester.path / "documents" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def write(*probes, head="", name="faq"):
        lines = ["corpus: documents", head, "probes:", *(f"  - {probe}" for probe in probes)]
        (pytester.path / f"{name}.probe.yaml").write_text("\n".join(lines), encoding="utf-8")

    return write


def test_each_probe_is_a_test_with_its_name(faq, run):
    """Probes have ids of their own, can be chosen by -k, and have a line each in the summary."""
    faq(HOLDS, "{name: storm, ask: rain and storm, expect: {contains: umbrella}}")
    result = run("faq.probe.yaml", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "faq.probe.yaml::baking time PASSED*",
            "faq.probe.yaml::storm PASSED*",
            "faq.probe.yaml * rank * score * answer from * verdict",
            "baking time * 2 * 0.* bread.md * pass",
            "storm * 1 * 0.* rain.md * pass",
            "2 of 2 probes hold",
        ]
    )
    run("faq.probe.yaml", "-k", "storm").assert_outcomes(passed=1, deselected=1)
    run("faq.probe.yaml", "-m", "rag").assert_outcomes(passed=2)
    run("faq.probe.yaml", "-m", "quality").assert_outcomes(deselected=2)


NAMES = [
    "__init__",
    "__class__",
    "__getattribute__",
    "setup_module",
    "pytestmark",
    "pytest_generate_tests",
    "test",
    "vec::get",
    "fields[0]",
    "a:::b[x::y]",
]


def test_names_of_probes_are_data(faq, run):
    """What means something to Python or pytest is a name like any other: each probe is a test, in its place, and judged."""
    probes = [
        f"{{name: '{name}', ask: how long to bake, expect: {{contains: {199 - at} minutes}}}}"
        for at, name in enumerate(NAMES)
    ]
    faq(*probes, HOLDS)
    result = run("faq.probe.yaml", "-v")
    result.assert_outcomes(failed=len(NAMES), passed=1)
    shown = [*NAMES[:7], "vec:get", "fields(0)", "a:b(x:y)"]
    result.stdout.fnmatch_lines(
        [f"faq.probe.yaml::{name} FAILED*" for name in shown] + ["faq.probe.yaml::baking time PASSED*"]
    )
    result.stdout.fnmatch_lines(["vec::get: '192 minutes' is not among the 3 passages that came back."])


@pytest.mark.parametrize("models", [1, 2])
def test_ids_of_probes_select_them(faq, run, pytester, models):
    """An id that a run has printed runs this probe alone, also where there are several models; so does --lf."""
    faq(*(f"{{name: '{name}', ask: how long to bake, expect: {{contains: 99 minutes}}}}" for name in NAMES), HOLDS)
    model = ["--embedqa-model=python:bag:other"][: models - 1]
    collected = [line for line in run("--collect-only", "-q", *model).outlines if line.startswith("faq.probe.yaml::")]
    assert len(collected) == (len(NAMES) + 1) * models
    for nodeid in collected:
        if "baking" not in nodeid:
            run(nodeid, *model).assert_outcomes(failed=1)
    model.append("--embedqa-model=python:bag:encode")
    pytester.runpytest_inprocess(*model)
    pytester.runpytest_inprocess("--lf", *model).assert_outcomes(failed=len(NAMES) * models)


def test_two_names_with_one_id(faq, run):
    """An id must select one probe: the second is refused, with its line."""
    faq(
        "{name: 'vec::get', ask: a question, expect: {contains: x}}",
        "{name: 'vec:get', ask: a question, expect: {contains: x}}",
    )
    result = run("faq.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*faq.probe.yaml:5: 'vec:get' and the probe before it have the same id, *::vec:get. Rename one.*"]
    )


def test_a_missed_probe_says_what_came_back_and_where_the_answer_is(faq, run):
    """Question, passages with rank, score, source and snippet, what was missing, and where it is instead."""
    faq("{name: hot, ask: how long to bake the loaf, expect: {contains: hot oven, rank: 1}}", MISSED)
    result = run("faq.probe.yaml")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "hot: 'hot oven' came back at rank 2; rank 1 or better was expected.",
            "  asked      how long to bake the loaf",
            "  came back   1  0.*  old/bread.md",
            "*Bake the loaf for 90 minutes*",
            "*2  0.*  bread.md",
            "  lost       by the model: 'hot oven' is at rank 2 of 3 by exact search. It must come first. *",
            "  searched   dense (cosine), best 5 of passages of up to 200 tokens, cut by sentences",
            "guitar: 'guitar' in bread.md is not among the 3 passages that came back.",
            "  lost       in extraction: 'guitar' in bread.md is in none of the * documents that it may be in, nor in the 3 passages. *",
        ]
    )


def test_a_test_stands_on_its_line_of_the_file(faq, run):
    """Reports lead an editor to the probe."""
    faq(HOLDS, MISSED)
    run("faq.probe.yaml", "--junitxml=out.xml", "-o", "junit_family=xunit1")
    cases = {case.get("name"): case for case in ET.parse("out.xml").getroot().iter("testcase")}
    assert (cases["guitar"].get("file"), cases["guitar"].get("line")) == ("faq.probe.yaml", "4")
    (facts,) = [one.get("value") for one in cases["guitar"].iter("property") if one.get("name") == "embedqa.probe"]
    assert json.loads(facts)["passages"][0]["pages"]


def test_a_part_of_what_is_expected(faq, run):
    """The row says how many of the expected passages came back."""
    faq("{name: both, ask: how long to bake the loaf, expect: {all_of: [40 minutes, guitar]}}")
    result = run("faq.probe.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["both * 2 * 0.* 1 of 2 as expected * FAIL"])


def test_a_rejected_passage_fails(faq, run):
    """What must not come back is named with its rank."""
    faq("{name: old, ask: how long to bake the loaf, expect: {contains: loaf}, reject: {contains: 90 minutes}}")
    result = run("faq.probe.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["old: '90 minutes' must not come back, and is at rank 1 (old/bread.md)."])


def test_mistakes_in_a_file_stop_its_collection_with_their_lines(faq, run):
    """Nothing is evaluated, and every mistake is named."""
    faq("{name: a, ask: b, expect: {contain: c}}", "{name: b, ask: c}", "{name: c, ask: b, expct: {contains: c}}")
    result = run("faq.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "faq.probe.yaml:4: unknown key 'contain'*Did you mean 'contains'?*",
            "faq.probe.yaml:5: probe 'b' expects nothing.*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*probe 'c' expects nothing*")


@pytest.mark.parametrize(
    ("corpus", "message"),
    [("nowhere", "*nowhere*does not exist*"), ("empty", "*empty*")],
)
def test_a_corpus_that_is_not_there_or_empty(faq, run, pytester, corpus, message):
    """An error that names the folder, and no probe that holds or is missed."""
    faq(HOLDS)
    (pytester.path / "empty").mkdir()
    file = pytester.path / "faq.probe.yaml"
    file.write_text(file.read_text().replace("corpus: documents", f"corpus: {corpus}"))
    result = run("faq.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_a_corpus_that_is_not_there_is_named_with_its_line(faq, pytester, run):
    """The error leads to the key, also in a folder below the one where pytest was started."""
    faq(HOLDS)
    (pytester.path / "kb").mkdir()
    (pytester.path / "kb" / "shop.probe.yaml").write_text(f"probes: [{HOLDS}]\n\ncorpus: nowhere\n")
    run("kb").stdout.fnmatch_lines(["kb/shop.probe.yaml:3: The corpus *nowhere does not exist. Name a folder*"])


def test_a_corpus_that_can_not_be_read_is_read_once(faq, run, pytester):
    """Each probe says what is wrong; the corpus is not read again for each."""
    faq(HOLDS, MISSED)
    (pytester.path / "documents" / "table.csv").write_text("a,b")
    pytester.makeconftest(
        """
        import pytest
        import pytest_embedqa.rag.knowledge as knowledge

        @pytest.fixture(autouse=True)
        def counted(monkeypatch):
            read = knowledge.sources
            monkeypatch.setattr(knowledge, "sources", lambda corpus: print("corpus was read") or read(corpus))
        """
    )
    result = run("faq.probe.yaml", "-s")
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("corpus was read") == 1
    assert result.stdout.str().count("table.csv: files of this kind are not read") >= 2


def test_a_pass_rate_decides_over_single_misses(faq, run):
    """With a pass_rate, a miss is shown as an expected failure and one test judges all; required probes must hold."""
    faq(HOLDS, MISSED, head="pass_rate: 0.5")
    result = run("faq.probe.yaml", "-rx")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(["XFAIL faq.probe.yaml::guitar - *pass_rate of faq.probe.yaml decides"])
    assert "guitar                                       not found                     xfail" in result.stdout.lines
    faq(HOLDS, MISSED, head="pass_rate: 0.51")
    result = run("faq.probe.yaml")
    result.assert_outcomes(passed=1, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "faq.probe.yaml: pass_rate 0.5000 is below 0.5100, off by 0.0100.",
            "  certainty  95 % interval 0.0000 to 1.0000 over 2 probes",
            "  missed     guitar",
        ]
    )
    faq(HOLDS, MISSED.replace("ask:", "required: true, ask:"), head="pass_rate: 0.5")
    run("faq.probe.yaml").assert_outcomes(passed=2, failed=1)


def test_a_pass_rate_that_is_skipped_excuses_no_miss(faq, run, pytester, monkeypatch):
    """Misses that were left to it make its skip a failure; those after it decide for themselves; skipped with all, it is skipped."""
    faq(HOLDS, MISSED, head="pass_rate: 0.5")
    pytester.makeconftest("""
        import os
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if os.environ["SKIPPED"] in {"all", item.name}:
                    item.add_marker(pytest.mark.skip(reason="no time"))
            items.sort(key=lambda item: item.name, reverse="FIRST" in os.environ)
    """)
    monkeypatch.setenv("SKIPPED", "pass_rate")
    result = run("faq.probe.yaml")
    result.assert_outcomes(passed=1, xfailed=1, errors=1)
    result.stdout.fnmatch_lines(["pass_rate was skipped, and nothing else decides about * missed: guitar. Let it run*"])
    monkeypatch.setenv("FIRST", "1")
    run("faq.probe.yaml").assert_outcomes(passed=1, skipped=1, failed=1)
    monkeypatch.setenv("SKIPPED", "all")
    run("faq.probe.yaml").assert_outcomes(skipped=3)


def test_a_pass_rate_of_another_model_excuses_no_miss(faq, run):
    """Where the file has no pass_rate for this model, nothing decides over misses: each is a failure."""
    faq(HOLDS, MISSED, head="pass_rate: {other/model: 0.5}")
    run("faq.probe.yaml").assert_outcomes(passed=1, failed=1, skipped=1)


def test_bounds_of_a_file_do_not_depend_on_the_tests_that_run(faq, run):
    """A bound on all probes asks them all, whichever were chosen."""
    faq(HOLDS, MISSED, head="mrr: 0.25\nrecall_at_k: {other/model: 0.9}")
    result = run("faq.probe.yaml", "-k", "mrr or recall_at_k", "-rs")
    result.assert_outcomes(passed=1, skipped=1, deselected=2)
    result.stdout.fnmatch_lines(
        ["faq.probe.yaml * mrr * 0.2500*≥*0.2500*pass", "SKIPPED*no recall_at_k for 'bag:encode', but for other/model"]
    )


def test_expected_failures_by_model(faq, run, pytester):
    """A probe that a model can't pass is an xfail with its reason; if it passes after all, that is a failure."""
    reason = "expected_failures: {'bag:encode': knows no strings}"
    faq(HOLDS, MISSED.replace("ask:", f"{reason}, ask:"))
    result = run("faq.probe.yaml", "-rx")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["XFAIL*guitar - knows no strings*"])
    run("faq.probe.yaml", model="python:bag:other").assert_outcomes(passed=1, failed=1)
    faq(HOLDS.replace("ask:", f"{reason}, ask:"))
    for option in ("xfail_strict=true", *(["strict=true"] if pytest.version_tuple >= (9,) else [])):
        run("faq.probe.yaml", "-o", option).assert_outcomes(failed=1)


def test_no_answer_is_no_expected_failure(faq, run, pytester):
    """Where nothing answers, nobody knows what a model fails at: a server that is gone, a pipeline that returns nothing."""
    faq(MISSED.replace("ask:", "expected_failures: {http: knows no strings, broken: knows no strings}, ask:"))
    (pytester.path / "http.yaml").write_text(
        "http: {url: 'http://127.0.0.1:9/', body: {q: '{query}'}, hits: hits, text: text}", encoding="utf-8"
    )
    run("faq.probe.yaml", "--embedqa-retriever=http.yaml").assert_outcomes(failed=1)
    pytester.makeconftest("""
        import pytest

        @pytest.fixture
        def retriever():
            def broken(query, k):
                return []
            return broken
    """)
    run("faq.probe.yaml").assert_outcomes(xfailed=1)
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8").replace("[]", "None"), encoding="utf-8")
    run("faq.probe.yaml").assert_outcomes(failed=1)


def test_attributes_of_a_pipeline_are_its_own(faq, run, pytester):
    """A pipeline's own methods and numbers, whatever they are called, are neither called nor taken for ours."""
    faq(
        "{name: late, ask: late loaf, max_latency_ms: 60000, expect: {contains: minutes}}",
        MISSED,
        head="check_index: true\nrobustness: {case: {keep: 0.9}}",
    )
    pytester.makeconftest("""
        import pytest

        class Pipeline:
            size, name = 384, "mine"

            def __call__(self, query, k):
                return [("Bake for 40 minutes.", 0.5)]

            def prepare(self):
                raise RuntimeError("not yours")

            fresh = to_cosine = prepare

        @pytest.fixture
        def retriever(encoder):
            return Pipeline()
    """)
    result = run("faq.probe.yaml")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.no_fnmatch_line("*not yours*")
    result.stdout.no_fnmatch_line("*384*")
    result.stdout.no_fnmatch_line("*Error*")


def test_expected_failures_of_a_name_that_is_nearly_right(faq, run):
    """A failure says what the model is called here, where expected_failures has another form of its name; else nothing."""
    faq(MISSED.replace("ask:", "expected_failures: {'BAG:encoder': knows no strings}, ask:"))
    result = run("faq.probe.yaml")
    result.stdout.fnmatch_lines(
        ["  hint       expected_failures says 'BAG:encoder'; here it is called 'bag:encode'."], consecutive=True
    )
    faq(MISSED.replace("ask:", "expected_failures: {'ORG/another': knows no strings}, ask:"))
    run("faq.probe.yaml").stdout.no_fnmatch_line("*hint *")


def test_several_models(faq, run):
    """Every probe runs with every model, and each has a table of its own."""
    faq(HOLDS)
    result = run("faq.probe.yaml", "--embedqa-model", "python:bag:encode", "--embedqa-model", "python:bag:coarse", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*::baking time?python:bag:encode? PASSED*", "*::baking time?python:bag:coarse? PASSED*"]
    )


@pytest.mark.parametrize("workers", [[], pytest.param(["-n2"], marks=pytest.mark.slow)])
def test_robustness_shows_the_decay(faq, run, workers):
    """Each variation is a test: the share of probes that still hold by level, and a bound on the first that fits any."""
    head = "robustness: {case: {levels: [2, 1], keep: 1.0}, noise: {levels: [20, 200]}, other_language: {keep: 0.5}}"
    faq(HOLDS, MISSED, head=head)
    result = run("faq.probe.yaml", "-k", "robustness", *workers)
    result.assert_outcomes(passed=2, skipped=1) if workers else result.assert_outcomes(
        passed=2, skipped=1, deselected=2
    )
    result.stdout.fnmatch_lines(
        [
            "faq.probe.yaml case * keep * 1.0000*pass",
            "robustness * variation * level * still hold * share",
            "faq.probe.yaml * noise * 20 * of 1 *",
            "faq.probe.yaml * noise * 200 * of 1 *",
        ]
    )


def test_a_variation_that_breaks_the_probes_fails(faq, run):
    """Below the bound, the failure names the probes that no longer hold."""
    faq(
        "{name: baking time, ask: how long to bake the loaf, translation: umbrella against rain, expect: {contains: loaf}}",
        head="retrieve: {k: 1}\nrobustness: {other_language: {keep: 0.5}}",
    )
    result = run("faq.probe.yaml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "faq.probe.yaml, other_language: keep 0.0000 is below 0.5000*",
            "  level 1      0 of 1 hold; lost: baking time",
        ]
    )


def test_without_the_extra_the_command_that_installs_it_is_named(faq, run, monkeypatch):
    """A probe file in an environment without its packages is one clear error."""
    import sys

    faq(HOLDS)
    for module in [name for name in sys.modules if name.split(".")[0] == "ruamel"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    result = run("faq.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*faq.probe.yaml needs the package 'ruamel.yaml'*", '*pip install "pytest-embedqa?rag?"*']
    )


def test_pass_rates_join_the_gate(faq, run, pytester):
    """A baseline holds the probes of a file; a model that loses some fails against it, and each lost probe is shown."""
    texts = [line.split("\n\n")[1].strip().split(". ")[0] for line in DOCUMENTS.values()]
    probes = [
        f"{{name: '{' '.join(pair)} {number}', ask: '{' '.join(pair)}', expect: {{contains: '{text}'}}}}"
        for number, text in enumerate(texts)
        for pair in combinations(text.split()[:6], 2)
    ]
    faq(*probes, head="retrieve: {k: 1}")
    saved = run("faq.probe.yaml", "--embedqa-save-baseline=base.json", "-q")
    saved.stdout.fnmatch_lines(["embedqa: saved the baseline *base.json: 1 tasks (faq.probe.yaml)"])
    same = run("faq.probe.yaml", "--embedqa-baseline=base.json", "-k", "pass_rate")
    same.assert_outcomes(passed=1, deselected=len(probes))
    same.stdout.fnmatch_lines(["against baseline*", "*gate: 1 task, 0 worse, 0 unsure"])
    for baseline in ("base.json", "python:bag:encode"):
        worse = run("faq.probe.yaml", f"--embedqa-baseline={baseline}", "-k", "pass_rate", model="python:bag:coarse")
        worse.assert_outcomes(failed=1, deselected=len(probes))
        worse.stdout.fnmatch_lines(
            ["*pass_rate 0.* is below *allowed drop 0.01*", "*missed *", "*gate: 1 task, 1 worse, 0 unsure"]
        )
    faq(*probes[1:], head="retrieve: {k: 1}")
    other = run("faq.probe.yaml", "--embedqa-baseline=base.json", "-k", "pass_rate")
    other.assert_outcomes(failed=1, deselected=len(probes) - 1)
    other.stdout.fnmatch_lines(["*the baseline was measured on the data*make a new baseline on this data*"])


def test_files_of_one_name_are_known_by_their_paths(faq, run, pytester):
    """Each is in the baseline and held to its own pass rate; two that lie elsewhere under one name are refused."""
    for team, probes in (("a", (HOLDS, MISSED)), ("b", (HOLDS,))):
        folder = pytester.path / team / "rag"
        folder.mkdir(parents=True)
        (folder / "documents").symlink_to(pytester.path / "documents")
        faq(*probes, name=f"{team}/rag/x")
    saved = run("a", "b", "--embedqa-save-baseline=base.json", "-q")
    saved.stdout.fnmatch_lines(["*base.json: 2 tasks (a/rag/x.probe.yaml, b/rag/x.probe.yaml)"])
    same = run("a", "b", "--embedqa-baseline=base.json", "-k", "pass_rate")
    same.assert_outcomes(passed=2, deselected=3)
    same.stdout.fnmatch_lines(
        ["a/rag/x.probe.yaml * 0.5000 *", "b/rag/x.probe.yaml * 1.0000 *", "gate: 2 tasks, 0 worse*"]
    )
    root = pytester.mkdir("root")
    refused = run("a", "b", "--embedqa-save-baseline=other.json", f"--rootdir={root}", "--embedqa-allow-outside")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*Two different things are called 'rag/x.probe.yaml', *Run them below one rootdir*"])


def test_an_index_that_belongs_to_another_model(faq, run, pytester):
    """check_index compares the scores of a retriever with the vectors of the model under test."""
    faq(HOLDS, head="check_index: true")
    result = run("faq.probe.yaml", "-k", "index")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["faq.probe.yaml index * cosines apart * 0.0*pass"])
    pytester.makeconftest(
        """
        import numpy as np, pytest, bag
        from pytest_embedqa import Passage

        @pytest.fixture
        def retriever(encoder, probe_corpus):
            texts = sorted(file.read_text() for file in probe_corpus.rglob("*.md"))
            vectors = bag.coarse(texts)
            def pipeline(query, k):
                scores = vectors @ bag.{queries}([query])[0]
                return [Passage(texts[row], score={score}) for row in np.argsort(-scores)][:k]
            return pipeline
        """.replace("{queries}", "encode").replace("{score}", "float(scores[row])")
    )
    result = run("faq.probe.yaml", "-k", "index")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["faq.probe.yaml: The index does not belong to the model that embeds queries: *"])


def test_an_index_whose_scores_say_nothing(faq, run):
    """Scores of words or ranks can't tell: unsure, with a note; a failure where everything must be judged."""
    faq(HOLDS, head="check_index: true\nretrieve: {by: rrf}")
    result = run("faq.probe.yaml", "-k", "index")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(
        ["faq.probe.yaml index * cosines apart * nan*unsure", "note: *can't be told from these scores*"]
    )
    run("faq.probe.yaml", "-k", "index", "--embedqa-strict").assert_outcomes(failed=1, deselected=1)


@pytest.mark.parametrize("name", ["faq.probe.yml", "FAQ.Probe.YAML"])
def test_either_ending_of_yaml_is_collected(faq, run, pytester, name):
    """A folder with .yml files is not passed over with a green run."""
    faq(MISSED)
    (pytester.path / "faq.probe.yaml").rename(pytester.path / name)
    run().assert_outcomes(failed=1)


def test_a_source_that_no_document_has_stops_its_file(faq, run):
    """To reject it would pass forever; file, line, probe and the nearest document are named."""
    faq(HOLDS, "{name: old, ask: bake, reject: {source: old/braed.md}}")
    result = run()
    result.assert_outcomes(errors=2)
    problem = "faq.probe.yaml:5: old: source 'old/braed.md' is none of the 3 documents of the corpus. Did you mean 'old/bread.md'?"
    result.stdout.fnmatch_lines([f"{problem} It is a path below the corpus, or the end of one."] * 2)


@pytest.mark.parametrize("wrong", ["a", "b"])
def test_a_wrong_source_stops_no_other_file(faq, run, wrong):
    """Of two files on one corpus the one with the typo has the error, whichever comes first, and the other passes."""
    right = "b" if wrong == "a" else "a"
    faq(HOLDS, name=right)
    faq("{name: old, ask: bake, reject: {contains: 40 minutes, source: typo.md}}", name=wrong)
    result = run("-v")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"{wrong}.probe.yaml:4: old: source 'typo.md' is none of the 3 documents*"])
    result.stdout.fnmatch_lines([f"{right}.probe.yaml::baking time PASSED*"])


def test_a_file_that_is_no_yaml_is_an_error_without_traceback(run, pytester):
    """File, line and what to do, and no class of a library."""
    (pytester.path / "a.probe.yaml").write_text('probes:\n  - name: "a\x1b"\n', encoding="utf-8")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["a.probe.yaml:2: not valid YAML: the control character U+001B*Delete it."])
    result.stdout.no_fnmatch_line("*ruamel*")


def test_a_missed_probe_that_is_run_alone(faq, run):
    """Where the bound on all probes is left out of a run, nothing decides but the probe itself."""
    faq(HOLDS, MISSED, head="pass_rate: 0.5")
    run("faq.probe.yaml").assert_outcomes(passed=2, xfailed=1)
    run("faq.probe.yaml::guitar").assert_outcomes(failed=1)
    run("faq.probe.yaml", "-k", "not pass_rate").assert_outcomes(passed=1, failed=1, deselected=1)
    several = run("faq.probe.yaml", "--embedqa-model=python:bag:other")
    several.assert_outcomes(passed=4, xfailed=2)


PIPELINES = """
import pytest
@pytest.fixture(params=["good", "bad"])
def retriever(request, encoder):
    return lambda query, k: ["40 minutes"] if request.param == "good" else ["nothing"]
"""


def test_each_pipeline_has_its_own_place_in_a_baseline(faq, run, pytester):
    """Of a parametrised pipeline each is saved and compared under its own name; a broken one is not let through by the other."""
    faq(*(HOLDS.replace("baking time", f"baking time {at}") for at in range(12)))
    pytester.makeconftest(PIPELINES.replace('else ["nothing"]', 'else ["40 minutes"]'))
    run("faq.probe.yaml", "--embedqa-save-baseline=base.json").assert_outcomes(passed=26)
    assert {one["task"] for one in json.loads((pytester.path / "base.json").read_text())["tasks"]} == {
        "faq.probe.yaml[good]",
        "faq.probe.yaml[bad]",
    }
    pytester.makeconftest(PIPELINES)
    gated = run("faq.probe.yaml", "-k", "pass_rate", "--embedqa-baseline=base.json")
    gated.assert_outcomes(passed=1, failed=1, deselected=24)
    other = run("faq.probe.yaml", "-k", "pass_rate", "--embedqa-baseline=python:bag:other")
    other.assert_outcomes(failed=2, deselected=24)
    other.stdout.fnmatch_lines(
        ["*the pipeline '*' of the fixture 'retriever' can't be asked with the encoder 'python:bag:other'*"]
    )
