"""Subtests, of pytest 9 and of unittest: they do not decide an outcome that is not theirs."""

from __future__ import annotations

import json

import pytest

SUITE = """
    import pytest

    def test_skips_one(encoder, subtests):
        for number in range(3):
            with subtests.test("piece", number=number):
                if number == 1:
                    pytest.skip("not for this")

    def test_expects_one(encoder, subtests):
        with subtests.test("known"):
            pytest.xfail("known to be low")

    def test_fails_two(encoder, subtests):
        for number in range(3):
            with subtests.test("piece", number=number):
                assert number == 1, f"number {number} is wrong"

    def test_fails_itself(encoder, subtests):
        with subtests.test():
            pass
        raise ValueError("of its own")

    def test_is_skipped_itself(encoder, subtests):
        with subtests.test("passes"):
            pass
        pytest.skip("the rest is not for this")
"""
OUTCOMES = {
    "test_skips_one": "passed",
    "test_expects_one": "passed",
    "test_fails_two": "failed",
    "test_fails_itself": "failed",
    "test_is_skipped_itself": "skipped",
}


@pytest.fixture
def tests(pytester, run, monkeypatch):
    """Runs a suite as in a job on GitHub; returns the result and its tests by name."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))

    def run_it(suite, *arguments):
        pytester.makepyfile(test_parts=suite)
        result = run("--embedqa-json=run.json", *arguments, data=False)
        told = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))
        return result, {one["id"].rpartition("::")[2]: one for one in told["tests"]}

    return run_it


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has subtests since 9.0")
@pytest.mark.parametrize("workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["one process", "xdist"])
def test_a_test_has_its_own_outcome(pytester, tests, workers):
    """What is skipped or expected to fail within a passed test leaves it passed; a subtest that fails fails it, by name."""
    result, found = tests(SUITE, *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {name: one["outcome"] for name, one in found.items()} == OUTCOMES
    assert [found[name]["text"] for name in ("test_skips_one", "test_expects_one")] == ["", ""]
    assert found["test_is_skipped_itself"]["text"] == "the rest is not for this"
    text = found["test_fails_two"]["text"]
    names = [line.replace("'", "") for line in text.splitlines() if line.startswith("subtest ")]
    assert names == [
        "subtest piece (number=0):",
        "subtest piece (number=2):",
    ]  # quoted by pytest on its way from a worker
    assert "number 0 is wrong" in text
    assert "number 2 is wrong" in text
    summary = (pytester.path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## Embedding quality: ❌ failed, 2 of 5 tests\n")
    commands = [line.split(",")[0] for line in result.outlines if line.startswith(("::error", "::notice"))]
    assert commands == ["::error file=test_parts.py"] * 2 + ["::notice file=test_parts.py"]


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has subtests since 9.0")
def test_subtests_of_unittest(tests):
    """A ``subTest`` that fails fails its test; one that is skipped does not skip it."""
    suite = """
        import unittest
        import pytest

        @pytest.mark.usefixtures("encoder")
        class TestParts(unittest.TestCase):
            def test_skips(self):
                for number in range(2):
                    with self.subTest(number=number):
                        if number:
                            self.skipTest("not for this")

            def test_fails(self):
                for number in range(2):
                    with self.subTest(number=number):
                        self.assertEqual(number, 1)
        """
    result, found = tests(suite)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {name: one["outcome"] for name, one in found.items()} == {"test_skips": "passed", "test_fails": "failed"}
    assert "subtest (number=0):" in found["test_fails"]["text"]
