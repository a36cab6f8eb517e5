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
        class Unset:
            @property
            def __class__(self): raise RuntimeError("settings are not configured")
        SETTINGS = Unset()
        def test_it(): ...
    """)
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize("thing", ["Mock()", "MagicMock()", "sentinel.a", "partial(int)", "Proxy()", "Answering()"])
@pytest.mark.parametrize("marker", ["", "pytestmark = mteb_task('ArguAna')"], ids=["plain", "in a marked module"])
def test_other_things_called_as_tests(pytester, run, thing, marker):
    """They are no functions, and end as they do without the plugin, whatever stands on the module."""
    pytester.makepyfile(f"""
        from functools import partial
        from unittest.mock import MagicMock, Mock, sentinel
        from pytest_embedqa import mteb_task
        class Proxy:
            def __getattr__(self, name): raise AttributeError(name)
            def __call__(self): ...
        class Answering(Proxy):
            def __getattr__(self, name):
                if name.startswith("__"): raise AttributeError(name)
                return Answering()
        {marker}
        test_thing = {thing}
        def test_it(): ...
    """)
    result = run("-W", "ignore")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["parity", "throughput", "matryoshka", "quantized"])
def test_a_marker_of_another_project(pytester, run, name):
    """Registered by the project and without arguments of ours, it is the project's: no model, no error, nothing said."""
    pytester.makeini(f"[pytest]\nmarkers = {name}(how): ours since 2019\n")
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.{name}\ndef test_it(): ...\n@pytest.mark.{name}('odd')\ndef test_odd(): ..."
    )
    result = run("--strict-markers", "-rA", model="st:no/such-model")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*embedding quality*")


def test_a_marker_of_ours_that_the_project_lists(pytester, run):
    """Listing all markers, as strict projects do, changes nothing: the decorator marks as ever, also without a bound."""
    pytester.makeini("[pytest]\nmarkers =\n  throughput: speed\n  parity: vectors\n")
    pytester.makepyfile("""
        from pytest_embedqa import parity, throughput
        pytestmark = throughput()
        def test_it(): ...
    """)
    result = run("--strict-markers", "--collect-only", "-q", "-m", "speed")
    result.stdout.fnmatch_lines(["*::test_it"])
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parity(reference='python:bag:coarse', min_cosine=1.0)\ndef test_it(): ..."
    )
    run("--strict-markers").assert_outcomes(failed=1)


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
