"""Progress of long encodings."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pytest_embedqa.plugin import progress
from pytest_embedqa.plugin.progress import Place, progress_line, progress_of


def config_of(verbose=0, **more):
    """As much of a pytest configuration as progress looks at."""
    plugins = SimpleNamespace(getplugin=lambda _: None)
    return SimpleNamespace(pluginmanager=plugins, option=SimpleNamespace(verbose=verbose), **more)


@pytest.fixture
def lines_at_once(monkeypatch):
    """A line for every batch, not only every half minute."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)


def encode(config, place=None, total=1000):
    """An encoding of three batches."""
    with progress_of(config, place)("builtin", total) as advance:
        for done in (400, 400, 200):
            advance(done)


def test_a_line_says_how_far_how_fast_and_how_long():
    """Texts, share, rate and time left; the run's time and the test's limit where they are known."""
    assert progress_line(250, 1000, 10.0, None) == "250 of 1,000 texts (25%), 25.0 texts/s, 00:30 left"
    place = Place(12, number=3, name="test_arguments", minutes=30, _began=0.0)
    line = progress_line(500, 1000, 100.0, place)
    assert line.startswith("500 of 1,000 texts (50%), 5.0 texts/s, 01:40 left; run ")
    assert line.endswith(", at most 30 min for this test")


def test_a_log_gets_plain_lines(capsys, lines_at_once):
    """Without a terminal there is no bar and no control character, but whole lines that say which test it is."""
    encode(config_of(), Place(12, number=3, name="test_arguments"))
    said = capsys.readouterr().err
    assert not {"\r", "\x1b"} & set(said)
    lines = [line for line in said.splitlines() if line]
    assert len(lines) == 3
    assert lines[0].startswith("embedqa: test 3 of 12, test_arguments: 400 of 1,000 texts (40%)")


def test_blocks_of_a_large_corpus_count_up(capsys, lines_at_once):
    """A corpus comes in blocks, each with its own count: the line says what came before."""
    place = Place(1, number=1, name="test_corpus")
    encode(config_of(), place)
    encode(config_of(), place)
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert lines[2].startswith("embedqa: test 1 of 1, test_corpus: 1,000 of 1,000 texts")
    assert lines[3].startswith("embedqa: test 1 of 1, test_corpus, after 1,000: 400 of 1,000 texts")


def test_before_the_first_test_the_encoder_is_named(capsys, lines_at_once):
    """What is encoded outside of a test goes by its spec."""
    encode(config_of(), Place(12))
    assert capsys.readouterr().err.lstrip().startswith("embedqa: builtin: 400 of")


def test_a_line_comes_now_and_then(capsys):
    """A log is not flooded: three quick batches are worth no line."""
    encode(config_of())
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet(capsys, lines_at_once):
    """Under -q nothing is written, nor for encodings that are over before a bar could be read."""
    encode(config_of(verbose=-1))
    encode(config_of(), total=100)
    assert capsys.readouterr().err == ""


def test_workers_write_lines_with_their_names(capsys, lines_at_once, monkeypatch):
    """A worker of pytest-xdist has no terminal of its own, so it draws no bar, even where stderr is one."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    encode(config_of(workerinput={}), Place(2, number=1, name="test_a"))
    said = capsys.readouterr().err
    assert said.lstrip().startswith("embedqa: gw1: test 1 of 2, test_a: 400 of 1,000 texts")
    assert "\r" not in said


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    """In a terminal there is a bar with the test's place, and it is wiped at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    encode(config_of(), Place(12, number=3, name="test_arguments"))
    said = capsys.readouterr().err
    assert "test 3 of 12, test_arguments" in said
    assert "\n" not in said
