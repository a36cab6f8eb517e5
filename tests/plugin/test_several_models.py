"""BM25, hybrids and two stages as the model under test, in a marker, in the gate, and in the reports."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.upgrade.baseline import read_baseline
from pytest_embedqa.upgrade.session_gate import Gate

PLAIN = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.01{more})
    def test_it(task_result): ...
"""
HYBRID = "hybrid:[python:bag:encode?version=1][bm25]"
# A reranker that counts the words that two texts share, as an engine of a project's own.
OVERLAP = """
import numpy as np
import pytest
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.representations import SCORES

class Overlap:
    options = {}
    counts_tokens = False
    representation = SCORES
    prompts = None
    limits = Limits(1000, 64)

    def __init__(self, sign=1):
        self.sign = sign
        self.identity = Identity(f"overlap {sign}", "own", options={"sign": str(sign)})

    @classmethod
    def load(cls, spec, options): ...

    def embed(self, texts):
        pairs = [[set(side.split()) for side in split(text)] for text in texts]
        return self.sign * np.array([len(a & b) / len(a | b) for a, b in pairs], dtype=np.float32)

    def lengths(self, texts):
        return [len(text) for text in texts]

    def close(self): ...
"""


def write(pytester, more="", fixture=""):
    """One test of a task, with further arguments of its marker."""
    pytester.makepyfile(test_it=PLAIN.format(more=more))
    if fixture:
        pytester.makeconftest(OVERLAP + fixture)


def report(pytester):
    """The JSON report of a run."""
    return json.loads((pytester.path / "r.json").read_text())


def facts(pytester, name="embedqa.task"):
    """The facts of the only test."""
    (test,) = report(pytester)["tests"]
    return test[name.partition(".")[2]][0] if name.partition(".")[2] in test else test


def test_a_hybrid_is_a_model_under_test(pytester, run):
    """Header, table and report name what it is, how it fuses, and what a document costs in its indices."""
    write(pytester)
    result = run("--embedqa-json=r.json", model=HYBRID)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            f"embedqa: {HYBRID.replace('[', '[[]')}: hybrid of bag:encode and mteb/baseline-bm25s · hybrid · fusion rrf · k 60 · weights 0.5, 0.5 · top_k that of the task*",
            "embedqa: prompts: none (each of its models has its own)",
            "ArguAna * bytes a document *",
            "note: ArguAna: fused by rrf, k = 60 (60 in mteb and LanceDB, 2 in Qdrant), weights 0.5 to 0.5, documents of each list: *",
        ]
    )
    text = (pytester.path / "r.json").read_text()
    assert '"kind": "hybrid"' in text


def test_a_dense_encoder_is_reported_as_ever(pytester, run):
    """Nothing in its report speaks of kinds, bytes of a document or stages."""
    write(pytester)
    result = run("--embedqa-json=r.json")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*bytes a document*")
    text = (pytester.path / "r.json").read_text()
    assert '"kind": "dense"' not in text
    assert '"stages"' not in text


def test_a_marker_names_both_stages(pytester, run):
    """What the first stage lost is told apart from what the reranker lost: in the terminal, the report and the failure."""
    write(pytester, ', reranker="python:bag:coarse", first_stage="bm25", top_k=3')
    result = run("--embedqa-json=r.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "note: ArguAna: first stage bm25: recall 1.0000 at 3 candidates; their best order would score 1.0000; 0 of 16 queries have no relevant document among them",
            "note: ArguAna: reranker python:bag:coarse: the first relevant document moved forward for * queries, back for *",
        ]
    )
    text = (pytester.path / "r.json").read_text()
    assert '"first_stage": "bm25"' in text
    assert '"ceiling": 1.0' in text
    write(pytester, ', reranker="python:bag:coarse", first_stage="bm25", top_k=3, min_recall_at_1=0.999')
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*stages     first stage bm25: recall 1.0000 at 3 candidates*",
            "*reranker python:bag:coarse: the first relevant document moved*",
            "*encoder    bag:coarse on mteb/baseline-bm25s · rerank · top_k 3*",
        ]
    )


def test_the_model_under_test_is_the_first_stage(pytester, run):
    """Where a marker names a reranker alone; another model under test has other candidates."""
    write(pytester, ', reranker="python:bag:encode", top_k=2')
    result = run(model="python:bag:coarse")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: ArguAna: first stage python:bag:coarse: recall * at 2 candidates; *"])


def test_the_model_under_test_is_the_reranker(pytester, run):
    """A project's own fixture ``encoder`` or ``reranker`` returns one; the marker names what finds its candidates."""
    for name in ("encoder", "reranker"):
        write(
            pytester,
            ', first_stage="bm25"',
            f"""
@pytest.fixture(scope="session")
def {name}(): return Overlap()
""",
        )
        result = run()
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["note: ArguAna: reranker overlap 1: the first relevant document *"])


def test_candidates_of_a_task_are_scored(pytester, run):
    """A reranking task needs no first stage."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("AskUbuntuDupQuestions", min_map_at_1000=0.9)
        def test_it(reranker):
            assert reranker.score([("a b", "b c"), ("a", "a")]).tolist()[1] == 1
    """)
    pytester.makeconftest(OVERLAP + "\n@pytest.fixture(scope='session')\ndef encoder(): return Overlap()\n")
    run().assert_outcomes(passed=1)


def test_fixture_reranker_is_for_models_that_score_pairs(pytester, run):
    """Any other model is named, with its kind and what to do."""
    pytester.makepyfile("def test_it(reranker): ...")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*The fixture 'reranker' is for a model that scores pairs, and 'python:bag:encode' does not: its kind is dense. Name a reranker with --embedqa-model, or return one*"
        ]
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            ", top_k=5",
            "top_k=5 is the number of candidates to rerank, or of passages to ask for: it stands beside reranker=, first_stage= or retriever=.",
        ),
        (", top_k=0, first_stage='bm25'", "top_k=0 must be a whole number from 1 up."),
        (", reranker=5", "reranker=5 must be the spec of a model, e.g. reranker="),
        (", reranker='hybrid:[bm25]'", "The spec 'hybrid:*' has 1 in square brackets, where hybrid takes 2 to 20."),
        (", reranker='bm25', dims=[4]", "vs_published= and dims= are for a model alone; they can't stand beside"),
        (", reranker='bm25', vs_published=-0.1", "vs_published= and dims= are for a model alone; they can't stand"),
    ],
)
def test_wrong_arguments_stop_the_run(pytester, run, more, says):
    """Before anything is loaded."""
    write(pytester, more)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{says}*".replace("[", "[[]")])


@pytest.mark.parametrize(
    ("more", "fixture", "says"),
    [
        (
            ", first_stage='bm25'",
            "",
            "first_stage= finds candidates for a reranker, and the model under test 'python:bag:encode' is not one (its kind is dense).",
        ),
        (
            ", first_stage='bm25', reranker='bm25'",
            "Overlap()",
            "the model under test 'overlap 1' is itself a reranker. Leave reranker= out",
        ),
        (
            ", reranker='bm25'",
            "Overlap()",
            "is itself a reranker. Leave reranker= out, and name with first_stage= what finds its candidates",
        ),
    ],
)
def test_model_under_test_must_have_a_place(pytester, run, more, fixture, says):
    """A marker and a model that do not fit are told apart, with what to change."""
    write(pytester, more, fixture and f"\n@pytest.fixture(scope='session')\ndef encoder(): return {fixture}\n")
    result = run()
    assert result.parseoutcomes().get("passed") is None
    result.stdout.fnmatch_lines([f"*{says}*"])


def test_smaller_vectors_are_of_dense_models(pytester, run):
    """``@matryoshka``, ``@quantized`` and ``dims=`` say so of other kinds, before anything is evaluated."""
    pytester.makepyfile("""
        from pytest_embedqa import matryoshka, mteb_task, quantized
        @quantized("int8", max_loss=0.1)
        @mteb_task("ArguAna")
        def test_one(): ...
        @mteb_task("ArguAna", dims=[8], min_ndcg_at_10=0.1)
        def test_two(): ...
    """)
    result = run(model="bm25")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*ArguAna: 'int8' (@matryoshka, @quantized) makes dense vectors smaller, and 'bm25' has none: its kind is bm25.",
            "*ArguAna: dims= makes dense vectors smaller, and 'bm25' has none: its kind is bm25.",
        ]
    )
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, quantized
        @quantized("int8", max_loss=0.1)
        @mteb_task("ArguAna", reranker="bm25")
        def test_one(): ...
    """)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*'int8' is for a model alone; it can't stand beside reranker= or first_stage=. Write two tests."]
    )


def test_published_scores_are_of_a_model_alone(pytester, run):
    """BM25 has mteb's name, by which its published score is found; two stages have none, whatever their name."""
    write(pytester, ", vs_published=-0.9")
    for model, says in {
        "bm25": "*no published scores are known for the model 'mteb/baseline-bm25s'*",
        "rerank:[bm25][python:bag:encode]?name=mteb/baseline-bm25s": "*it is of a model alone, and this is of a first stage and a reranker; use an absolute bound (min_<metric>=)*",
    }.items():
        result = run(model=model)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([says])


def test_a_baseline_of_each_kind_is_kept(pytester, run):
    """Saved, read again, and compared with: by file and by spec."""
    write(pytester)
    for spec in ("bm25", HYBRID, "rerank:[bm25][python:bag:coarse?version=1]?top_k=4"):
        run("--embedqa-save-baseline=b.json", model=spec).assert_outcomes(passed=1)
        assert json.loads((pytester.path / "b.json").read_text())["encoder"]["spec"] == spec
        same = run("--embedqa-baseline=b.json", model=spec)
        same.assert_outcomes(passed=1)
        same.stdout.fnmatch_lines(["note: ArguAna: candidate and baseline are the same encoder: nothing was changed"])
        (pytester.path / "b.json").unlink()
    pytester.makepyfile(
        test_it="""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna")
        def test_it(): ...
    """
    )
    for arguments in ([], ["--embedqa-baseline=bm25"]):  # also where no verdict has the notes of the score
        result = run(*arguments, model=HYBRID)
        result.stdout.fnmatch_lines(["note: ArguAna: fused by rrf, k = 60 *"])
    result = run("--embedqa-baseline", HYBRID, model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*kind: hybrid to dense"])


def candidates(pytester):
    """The candidates in a baseline, by query."""
    (one,) = read_baseline(pytester.path / "b.json").evaluations
    (found,) = one.candidates.values()
    return found


def test_two_rerankers_are_compared_on_the_same_candidates(pytester, run):
    """They are kept in the baseline; a first stage that finds others is refused."""
    fixture = "\n@pytest.fixture(scope='session')\ndef encoder(): return Overlap({})\n"
    more = ', first_stage="python:bag:coarse?version=1", top_k=4'
    write(pytester, more, fixture.format(1))
    run("--embedqa-save-baseline=b.json").assert_outcomes(passed=1)
    kept = candidates(pytester)
    assert {len(some) for some in kept.values()} == {4}
    readable = json.loads((pytester.path / "b.json").read_text())["tasks"][0]
    assert (readable["first_stage"], readable["top_k"]) == ("python:bag:coarse?version=1", 4)
    write(pytester, more, fixture.format(-1))
    result = run("--embedqa-baseline=b.json")
    result.stdout.fnmatch_lines(["ArguAna * unsure", "ArguAna * 0.3125  0.1346  -0.1779  *"])
    # The same spec, but another function behind it.
    bag = (pytester.path / "bag.py").read_text()
    (pytester.path / "bag.py").write_text(bag.replace("text[:3]", "text[-3:]"))
    result = run("--embedqa-baseline=b.json", "--embedqa-store=off")
    result.stdout.fnmatch_lines(
        [
            "*ArguAna (first_stage=python:bag:coarse[?]version=1, top_k=4): the baseline's reranker saw other candidates: * of them are the same. Two rerankers can be compared only behind the same first stage: *"
        ]
    )


def test_two_first_stages_are_compared_before_the_same_reranker(pytester, run):
    """Their candidates differ, which is what is compared; two rerankers behind two first stages are not."""
    write(pytester, ', reranker="python:bag:encode?version=1", top_k=2')
    run("--embedqa-save-baseline=b.json", model="python:bag:encode?version=2").assert_outcomes(passed=1)
    result = run("--embedqa-baseline=b.json", model="python:bag:coarse?version=2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["note: ArguAna: *% of the candidates are those of the baseline"])
    result.stdout.no_fnmatch_line("*saw other candidates*")
    write(pytester, ', reranker="python:bag:other?version=1", top_k=2')
    result = run("--embedqa-baseline=b.json", model="python:bag:coarse?version=2")
    result.stdout.fnmatch_lines(["*the baseline's reranker saw other candidates*"])


def test_a_baseline_keeps_one_reranker_of_each_task(pytester, run):
    """Two tests of a run that differ by it alone would overwrite each other."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", reranker="python:bag:encode", top_k=2)
        def test_one(): ...
        @mteb_task("ArguAna", reranker="python:bag:coarse", top_k=2)
        def test_two(): ...
    """)
    result = run("--embedqa-save-baseline=b.json")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*two tests rerank the candidates of ArguAna (top_k=2) with different rerankers, and a baseline keeps one.*"]
    )


@pytest.mark.parametrize("allowed", ["", HYBRID, "python:bag:encode?version=1"])
def test_baselines_name_only_what_is_allowed(pytester, run, allowed):
    """A part that imports a module is refused like any other encoder of a file; the whole or the part can be allowed."""
    saved = pytester.makepyfile(test_save=PLAIN.format(more=""))
    run(saved, "--embedqa-save-baseline=b.json", model=HYBRID).assert_outcomes(passed=1)
    gate = Gate(pytester.path / "b.json", None, {parse_spec(allowed)} if allowed else set())
    if allowed:
        assert str(gate.spec) == HYBRID
    else:
        with pytest.raises(
            BaselineError,
            match=r"names the encoder 'hybrid:.*', which is not loaded: the engine 'python' imports a module",
        ):
            gate.spec  # noqa: B018
