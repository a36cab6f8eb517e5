"""The tests themselves: none is left out by accident, and none takes long without saying so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def test_every_folder_of_tests_is_run(pytestconfig):
    """A new folder is named in pyproject.toml, or `make test` would never see it."""
    there = {f"tests/{file.relative_to(TESTS).parts[0]}" for file in TESTS.rglob("test_*.py")}
    assert set(pytestconfig.getini("testpaths")) == there


@pytest.mark.parametrize(("load", "errors"), [(0.0, 3), (1000.0, 0)], ids=["quiet", "busy"])
def test_long_test_that_does_not_say_so_is_an_error(pytester, monkeypatch, load, errors):
    """The time of its fixtures counts too; a test that is marked slow may take its time, and so may any on a busy machine."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    conftest = (TESTS / "conftest.py").read_text(encoding="utf-8")
    assert conftest.count("\nLIMIT = 20\n") == 1
    pytester.makeconftest(conftest.replace("\nLIMIT = 20\n", "\nLIMIT = 0.2\n"))
    pytester.makeini("[pytest]\nmarkers = slow: long")
    pytester.makepyfile("""
        import time
        import pytest

        @pytest.fixture
        def waiting(): time.sleep(0.3)

        def test_quick(): ...
        def test_long(): time.sleep(0.3)
        def test_long_before_it_begins(waiting): ...
        @pytest.mark.slow
        def test_slow(waiting): ...
        def test_broken(waiting): assert not "a failure of its own is not hidden"
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, failed=1, errors=errors)
    if errors:
        result.stdout.fnmatch_lines(
            ["*test_long took 0 s, and 0.2 is the most*", "*`make test` leaves it out*", "*test_broken took*"]
        )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
