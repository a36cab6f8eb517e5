"""What is called ``encoder`` in another project, or extends ours: known by where it is defined, not by its name."""

from __future__ import annotations

import pytest

OWN = {
    "fixture": "@pytest.fixture\ndef encoder(): return json.JSONEncoder()\ndef test_it(encoder): assert encoder.encode(1) == '1'",
    "parameter": '@pytest.mark.parametrize("encoder", [json.JSONEncoder()])\ndef test_it(encoder): assert encoder.encode(1) == "1"',
    "fixture with params": "@pytest.fixture(params=[1])\ndef encoder(request): return request.param\ndef test_it(encoder): assert encoder",
    "dynamic": "@pytest.fixture\ndef encoder(): return 1\ndef test_it(request): assert request.getfixturevalue('encoder')",
}


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_an_encoder_of_another_project(pytester, run, text):
    """No model is loaded for it, no store made, nothing said; with two models it runs once."""
    pytester.makepyfile("import json, pytest\n" + text)
    result = run("--embedqa-model=python:bag:other", "-v", model="st:no/such-model")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*embedqa: *")
    result.stdout.no_fnmatch_line("*embedding quality*")
    assert not (pytester.path / "cache").exists()


def test_names_that_answer_anything(pytester, run):
    """A mock, a sentinel and a lazy object in a module are not asked for markers."""
    pytester.makepyfile("""
        from unittest import mock
        from unittest.mock import Mock, MagicMock, call, sentinel
        ANY, SENTINEL, CALL, PATCHED = Mock(), mock.sentinel, call, MagicMock()
        class Lazy:
            def __getattr__(self, name): raise RuntimeError(f"asked for {name}")
        LAZY = Lazy()
        def test_it(): ...
    """)
    run().assert_outcomes(passed=1)


TASK = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.01)
    def test_task(encoder): assert encoder.encode(["a"]).shape == (1, encoder.dim)
    def test_dim(encoder): print("dim", encoder.dim, encoder.spec)
"""
EXTENDED = (
    "import pytest\n@pytest.fixture(params={})\ndef encoder(encoder, request): return encoder.at({}[request.param])"
)


@pytest.mark.parametrize("params", [[64, 16], ["whole", "short"]])
def test_parameters_of_a_fixture_that_extends_ours(pytester, run, params):
    """They are its own, numbers or texts: the model of the command line at each of them."""
    pytester.makepyfile(TASK)
    pytester.makeconftest(EXTENDED.format(params, dict(zip(params, [64, 16], strict=True))))
    result = run("-s")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(["*dim 64 *bag:encode*", "*dim 16 *bag:encode*"])


def test_parameters_of_a_fixture_beside_several_models(pytester, run):
    """A fixture has one parameter: refused, with the place of the fixture and what to do."""
    pytester.makepyfile(TASK)
    pytester.makeconftest(EXTENDED.format([64], {64: 64}))
    result = run("--embedqa-model=python:bag:other")
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["*The fixture 'encoder' (*conftest.py:2) has params of its own, and several --embedqa-model are*"]
    )


def test_a_fixture_that_extends_ours_beside_several_models(pytester, run):
    """Without params of its own it runs for each."""
    pytester.makepyfile(TASK)
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef encoder(encoder): return encoder.at(16)")
    result = run("--embedqa-model=python:bag:other", "-s")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(["*dim 16 *bag:encode*", "*dim 16 *bag:other*"])


def test_an_own_encoder_beside_several_models(pytester, run):
    """What a project's own fixture returns is judged once, under its own name; no model of the command line is loaded."""
    pytester.makepyfile(
        "from pytest_embedqa import mteb_task\n@mteb_task('ArguAna', min_ndcg_at_10=0.01)\ndef test_task(): ..."
    )
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef encoder():\n    import bag\n    return bag.coarse")
    result = run("--embedqa-model=st:no/such-model", model="st:none/such")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["bag.coarse: *"])
    result.stdout.no_fnmatch_line("*such*")


def test_an_encoder_asked_for_by_name(pytester, run):
    """With several models a test that asks while it runs can't become several: refused; with one it gets it."""
    pytester.makepyfile("def test_it(request): assert request.getfixturevalue('encoder').dim == 64")
    run().assert_outcomes(passed=1)
    result = run("--embedqa-model=python:bag:other")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*The fixture 'encoder' was asked for by getfixturevalue, and there are several --embedqa-model: *"]
    )
