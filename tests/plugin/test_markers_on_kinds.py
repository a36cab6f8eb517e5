"""Invariants, speed and parity of models of other kinds, from a user's side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_embedqa.encoders.known_kind import known_kind
from pytest_embedqa.encoders.spec import parse_spec

SUITE = """
from pytest_embedqa import parametrize_with_invariants

@parametrize_with_invariants(only=["dimension", "wording_distinct", "no_negative_weight", "query_expanded", "scores_apart"])
def test_it(encoder, invariant):
    invariant(encoder)
"""


@pytest.fixture
def model():
    """Spec of a model that ``make models`` makes, by its name."""

    def spec(name):
        folder = Path(os.environ.get("EMBEDQA_MODELS", "build/models")).absolute() / name
        if not folder.is_dir():
            pytest.skip("needs the models of make models, and EMBEDQA_MODELS=build/models")
        return f"st:{folder}"

    return spec


def run(pytester, spec, *options):
    """Run the suite on a spec."""
    pytester.makepyfile(SUITE)
    return pytester.runpytest(f"--embedqa-model={spec}", "--embedqa-store=off", "-v", *options)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("tiny-sparse", ["dimension", "no_negative_weight"]),
        ("minilm-colbert", ["dimension", "wording_distinct", "query_expanded"]),
        ("tiny-cross-encoder", ["scores_apart"]),
    ],
)
def test_invariants_of_another_kind_are_deselected(pytester, model, name, kept):
    """The folder says what the model is, so that nothing is skipped; those that are left are judged."""
    result = run(pytester, model(name))
    result.assert_outcomes(passed=len(kept), deselected=5 - len(kept))
    result.stdout.fnmatch_lines_random([f"*test_it?{one}? PASSED*" for one in kept])


def test_default_model_is_dense(pytester):
    """The default model's kind is known, too; a system of several models has no invariants at all."""
    run(pytester, "builtin").assert_outcomes(passed=2, deselected=3)
    run(pytester, "bm25").assert_outcomes(deselected=5)


def test_kind_that_only_the_loaded_model_tells_is_a_skip(pytester):
    """Of a callable nobody knows it before: what does not apply is skipped, with the kind that it is for."""
    pytester.makepyfile(vectors="import numpy as np\ndef encode(texts): return np.ones((len(texts), 4), np.float32)")
    result = run(pytester, "python:vectors:encode", "-rs", "-k", "scores_apart or no_negative")
    result.assert_outcomes(skipped=2, deselected=3)
    result.stdout.fnmatch_lines(["*scores_apart: this is for reranker models, and 'python:vectors:encode' is dense*"])


def test_reranker_of_a_fixture_of_ones_own(pytester, model):
    """A test that names the fixture ``reranker`` is about it, whatever the model of the command line is."""
    pytester.makeconftest(
        f"""
        import pytest

        @pytest.fixture(scope="session")
        def reranker():
            from sentence_transformers import CrossEncoder
            return CrossEncoder({model("tiny-cross-encoder").removeprefix("st:")!r}, device="cpu")
        """
    )
    pytester.makepyfile(
        """
        from pytest_embedqa import parametrize_with_invariants

        @parametrize_with_invariants(only=["scores_apart", "answers_first", "wording_distinct"])
        def test_it(reranker, invariant):
            invariant(reranker)
        """
    )
    result = pytester.runpytest("--embedqa-store=off", "-v", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*wording_distinct: this is for dense and multi-vector models, and * is reranker*"])


def test_parameters_of_the_fixture_reranker_are_refused(pytester):
    """They would name another model than the one that is tested; not deselected either, though the default model is dense."""
    suite = """
        import pytest
        from pytest_embedqa import parametrize_with_invariants

        @pytest.mark.parametrize("reranker", ["st:models/other"], indirect=True)
        @parametrize_with_invariants(only=["scores_apart"])
        def test_it(reranker, invariant): ...
        """
    pytester.makepyfile(suite)
    result = pytester.runpytest("--embedqa-store=off")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["The fixture 'reranker' takes no parameters: it is the model under test. *parametrize(\"encoder\", *"]
    )


def test_parameters_of_a_reranker_of_ones_own_reach_it(pytester, model):
    """A project's fixture may extend the plugin's, and pytest gives its parameters to both."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session", params=["x"])
        def reranker(reranker, request): return request.param, reranker

        def test_it(reranker):
            assert reranker[0] == "x"
            assert reranker[1].score([("a b", "b c")]).shape == (1,)
        """
    )
    result = pytester.runpytest(f"--embedqa-model={model('tiny-cross-encoder')}", "--embedqa-store=off")
    result.assert_outcomes(passed=1)


def test_known_kinds(tmp_path, model):
    """By the spec or the folder, without loading; otherwise nobody knows."""
    known = {
        "builtin": "dense",
        "bm25": "bm25",
        "hybrid:[builtin][bm25]": "hybrid",
        "rerank:[bm25][builtin]": "rerank",
        "python:vectors:encode": None,
        f"st:{tmp_path / 'none'}": None,
        model("tiny-sparse-idf"): "sparse",
    }
    assert {spec: known_kind(parse_spec(spec)) for spec in known} == known
    (tmp_path / "config.json").write_text("{")
    assert known_kind(parse_spec(f"st:{tmp_path}")) in {None, "dense"}


def marked(pytester, spec, marker, *options):
    """Run a test of one marker on a spec."""
    pytester.makepyfile(
        f"""
        from pytest_embedqa import parity, throughput

        @{marker}
        def test_it(): ...
        """
    )
    return pytester.runpytest(f"--embedqa-model={spec}", "--embedqa-store=off", "-v", *options)


def test_speed_of_a_reranker(pytester, model):
    """In pairs a second, with a single query and its documents; texts a second is another question."""
    pytest.importorskip("pytest_benchmark")
    spec = model("tiny-cross-encoder")
    bounds = "min_pairs_per_s=0.1, max_p95_ms=60000, length=32, batch_size=2"
    result = marked(pytester, spec, f"throughput({bounds})")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["speed, 32 tokens *pairs_per_s * pass*", "*length *batch *pairs_per_s *tokens_per_s*"])
    result = marked(pytester, spec, "throughput(min_texts_per_s=0.1, length=32, batch_size=2)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["speed: min_texts_per_s=0.1 can't be judged: * is a reranker and scores pairs; ask for min_pairs*"]
    )
    result = marked(pytester, spec, "throughput(min_pairs_per_s=1e9, length=32, batch_size=2)")
    result.stdout.fnmatch_lines(
        ["*on *rounds in batches of 2, 0 single queries, each with 2 documents, pairs of 32 tokens"]
    )


def test_parity_of_rerankers_is_that_of_rankings(pytester, model):
    """Without its sigmoid a reranker ranks alike; vectors it has none, and another model ranks otherwise."""
    spec = model("tiny-cross-encoder")
    same = f'parity(reference="{spec}?activation=none", min_kendall=0.99, min_overlap=0.99, batch_sizes=[8])'
    result = marked(pytester, spec, same)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*?activation=none kendall *pass*", "texts * n *worst kendall *mean*"])
    result = marked(pytester, spec, f'parity(reference="{spec}?activation=none", min_cosine=0.99)')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["parity with *: The vectors of * (reranker) * can't be compared. *min_kendall=*"])
    result = marked(pytester, spec, 'parity(reference="builtin", min_kendall=0.99, batch_sizes=[8])')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*kendall 0.* is below 0.99*", "*cause *"])
