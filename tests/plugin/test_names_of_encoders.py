"""Different encoders never share a name: of one spec at several dimensions, or of specs that begin alike."""

from __future__ import annotations

import json

import pytest

TASK = """
    from pytest_embedqa import mteb_task, parametrize_with_invariants
    @mteb_task("ArguAna", min_ndcg_at_10=0.01)
    def test_task(): ...
"""
TWO = """
    import pytest
    from pytest_embedqa.encoders.prompts import Prompts
    @pytest.fixture(params=["ask: ", "find: "])
    def encoder(encoder, request): return encoder.with_prompts(Prompts("test", {"query": request.param}))
"""
CUTS = """
    import pytest
    @pytest.fixture(params=[64, 16])
    def encoder(encoder, request): return encoder.at(request.param)
"""
NAMES = ["python:bag:encode (prompts query ask: )", "python:bag:encode (prompts query find: )"]


@pytest.fixture
def facts(pytester, run):
    """Runs tests under a conftest.py; returns the result, and the tests of the JSON report."""

    def run_it(test, conftest, *arguments, **options):
        pytester.makepyfile(test)
        pytester.makeconftest(conftest)
        result = run("--embedqa-json=out.json", "--embedqa-html=out.html", *arguments, **options)
        return result, json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["tests"]

    return run_it


def test_one_spec_with_two_prompts(pytester, facts, monkeypatch):
    """Each has its own table, name and identity in the terminal, JSON, on the page and in the summary of a CI step."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    result, tests = facts(TASK, TWO)
    result.assert_outcomes(passed=2)
    for test, name in zip(tests, NAMES, strict=True):
        kinds = {kind: one for kind, every in test["facts"].items() for one in every}
        assert {one["model"] for kind, one in kinds.items() if kind != "encoder"} == {name}
        assert (kinds["encoder"]["spec"], kinds["encoder"]["model"]) == (name, "bag:encode")
        assert kinds["verdict"]["model"] == name
    for name in NAMES:
        result.stdout.fnmatch_lines([f"{name}: bag:encode · 64 dimensions*"])
        result.stdout.fnmatch_lines([name, "task  *", "ArguAna *pass"], consecutive=True)
        for file in ("out.html", "summary.md"):
            assert name in (pytester.path / file).read_text(encoding="utf-8")
    assert "<dt>reference</dt>" not in (pytester.path / "out.html").read_text(encoding="utf-8")


def test_one_encoder_keeps_its_spec(facts):
    """With one prompt alone there is nothing to tell apart, and 'task' is the head of the table."""
    result, tests = facts(TASK, TWO.replace('["ask: ", "find: "]', '["ask: "]'))
    assert tests[0]["facts"]["verdict"][0]["model"] == tests[0]["facts"]["encoder"][0]["spec"] == "python:bag:encode"
    result.stdout.fnmatch_lines(["task  *", "ArguAna *pass"], consecutive=True)


def test_two_specs_that_begin_alike(pytester, facts):
    """A head that would be cut is a line of its own."""
    name = "a_module_with_quite_a_long_name"
    pytester.makepyfile(**{name: "from bag import encode, other"})
    specs = [f"python:{name}:encode", f"python:{name}:other"]
    result, _ = facts(TASK, "", f"--embedqa-model={specs[1]}", model=specs[0])
    result.assert_outcomes(passed=2)
    for spec in specs:
        result.stdout.fnmatch_lines([spec, "task  *", "ArguAna *pass"], consecutive=True)


def test_one_test_that_checks_two_encoders(facts):
    """Each verdict of an invariant is of the encoder that it was checked with."""
    test = """
        from pytest_embedqa import parametrize_with_invariants
        from pytest_embedqa.encoders.prompts import Prompts
        @parametrize_with_invariants(only=["finite"])
        def test_it(encoder, invariant): invariant(encoder.with_prompts(Prompts("test", {"query": "find: "})))
    """
    result, tests = facts(test, TWO.replace('["ask: ", "find: "]', '["ask: "]'))
    result.assert_outcomes(passed=1)
    assert [one["model"] for one in tests[0]["facts"]["verdict"]] == NAMES
    assert [one["spec"] for one in tests[0]["facts"]["encoder"]] == NAMES


def test_two_dimensions(pytester, facts):
    """They are in the spec, and no reference on the page."""
    _, tests = facts(TASK, CUTS)
    names = [test["facts"]["verdict"][0]["model"] for test in tests]
    assert names == ["python:bag:encode?dim=64", "python:bag:encode?dim=16"]
    assert "<dt>reference</dt>" not in (pytester.path / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["one process", "xdist"])
def test_no_baseline_of_two(pytester, facts, workers):
    """A baseline is of one encoder: else the second would take the place of the first under the same name."""
    result, _ = facts(TASK, TWO, "--embedqa-save-baseline=base.json", *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*this run tested '{NAMES[0]}' first and '{NAMES[1]}' now.*"])


OBJECTS = """
    import bag, pytest
    @pytest.fixture(scope="{}", params=[{}])
    def encoder(request): return request.param
"""


def test_two_functions_of_one_name(facts):
    """Nothing tells them apart but their digest; one that every test gets has one name."""
    lambdas = "lambda texts: bag.encode(texts), lambda texts: bag.coarse(texts)"
    _, tests = facts(TASK, OBJECTS.format("session", lambdas))
    names = {test["facts"]["verdict"][0]["model"] for test in tests}
    assert len(names) == 2
    assert all(name.startswith("conftest.<lambda> (") for name in names)
    _, tests = facts(TASK + "\n    def test_other(encoder): ...\n", OBJECTS.format("session", "bag.encode"))
    assert {test["facts"]["verdict"][0]["model"] for test in tests[:1]} == {"bag.encode"}


def test_an_object_that_counts_is_one_encoder(pytester, facts):
    """A client with a lock and a counter, or a cache that fills, is the same encoder in every test, by name and in the baseline."""
    client = """
        import bag, pytest, threading
        class Client:
            calls = 0
            def __init__(self): self.lock = threading.Lock()
            def encode(self, texts):
                self.calls += 1
                return bag.encode(texts)
        @pytest.fixture(scope="session")
        def encoder(): return Client()
    """
    second = """
    @mteb_task("STSBenchmark", min_spearman=0.01)
    def test_second(): ...
    """
    result, tests = facts(TASK + second, client, "--embedqa-save-baseline=base.json")
    result.assert_outcomes(passed=2)
    assert {test["facts"]["verdict"][0]["model"] for test in tests} == {"conftest.Client"}
    kept = json.loads((pytester.path / "base.json").read_text(encoding="utf-8"))
    assert sorted(one["task"] for one in kept["tasks"]) == ["ArguAna", "STSBenchmark"]
