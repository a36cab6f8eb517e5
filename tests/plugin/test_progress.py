"""Progress of a run: which test of how many, in one process and in the workers of pytest-xdist."""

from __future__ import annotations

import re

import pytest

# Tiny data is worth a line here.
CONFTEST = """
    from pytest_embedqa.plugin import progress
    progress._WORTH_A_BAR, progress._SECONDS_BETWEEN_LINES = 1, 0.0
"""
SUITE = """
    from pytest_embedqa import mteb_task
    def test_unrelated(): ...
    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_search(): ...
    @mteb_task("STSBenchmark", max_minutes=5)
    def test_pairs(): ...
"""


@pytest.fixture
def suite(pytester):
    """Two tests of embedding quality beside another."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)


def said(pytester, hub, *arguments):
    """What a run in a process of its own says of its progress: a terminal's capture must let it through."""
    options = ("--embedqa-model=python:bag:encode", f"--embedqa-datasets={hub}", "--embedqa-store=off")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, *arguments)
    result.assert_outcomes(passed=3)
    return [line for line in result.errlines if " texts (" in line]


@pytest.mark.slow
def test_a_line_says_which_test_it_is_about(pytester, hub, suite):
    """Tests that have nothing to do with embeddings are not counted; what a test may take is said."""
    lines = said(pytester, hub)
    assert lines[0].startswith("embedqa: test 1 of 2, test_search: ")
    assert lines[-1].startswith("embedqa: test 2 of 2, test_pairs: ")
    assert "at most 5 min for this test" in lines[-1]
    assert "at most" not in lines[0]


@pytest.mark.slow
def test_workers_say_it_too(pytester, hub, suite):
    """Under pytest-xdist the lines come from the worker that has the encoder, with its name."""
    lines = said(pytester, hub, "-n", "2")
    assert lines[0].startswith("embedqa: gw")
    assert "test 1 of 2, test_search: " in lines[0]


@pytest.mark.slow
def test_quiet_says_nothing(pytester, hub, suite):
    """Nor is there a header under -q; the table stands."""
    assert said(pytester, hub, "-q") == []


HANGING = """
    import socket, threading
    import pytest
    listening = socket.create_server(("127.0.0.1", 0))
    kept = []
    threading.Thread(target=lambda: [kept.append(listening.accept()) for _ in range(9)], daemon=True).start()
    def pytest_configure(config):
        from pytest_embedqa.plugin import progress
        progress._SECONDS_OF_A_WAIT = {True: 1.0, False: 1.0}
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config.option.embedqa_model = [f"openai:m?url={address}/v1&timeout=4&retries=2"]
"""


@pytest.mark.parametrize(("arguments", "expected"), [((), True), (("-q",), False)])
def test_a_server_that_hangs_is_named_while_it_is_waited_for(pytester, arguments, expected):
    """Which server, since when, which attempt of how many: through pytest's capture, and not under -q."""
    pytester.makeconftest(HANGING)
    pytester.makepyfile("def test_vectors(encoder): encoder.encode(['a text'])")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--embedqa-store=off", *arguments)
    result.assert_outcomes(errors=1)
    waits = [line for line in result.errlines if "waits for" in line]
    assert bool(waits) == expected
    if expected:
        address = r"http://127\.0\.0\.1:\d+/v1/"
        assert re.fullmatch(rf"embedqa: waits for the list of models of the server at {address} since \d s", waits[0])
        assert re.fullmatch(rf"embedqa: waits for the server at {address} since \d s \(attempt 1 of 3\)", waits[-1])
