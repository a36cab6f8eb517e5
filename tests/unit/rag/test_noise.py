"""Noise: distinct, in both languages, of the right size, lazy, and without facts."""

from __future__ import annotations

import re
import time
from itertools import islice

import pytest

from pytest_embedqa.rag import noise
from pytest_embedqa.rag.noise import noise_passages

SOME = list(noise_passages(2000))
HAN = re.compile("[\u4e00-\u9fff]")


def test_passages_are_distinct():
    """A hundred thousand passages, and no two of them the same."""
    assert len({passage.text for passage in noise_passages(100_000)}) == 100_000


def test_half_of_each_language():
    """English and Chinese in turn, and none of them mixed but for codes and names."""
    english, chinese = SOME[::2], SOME[1::2]
    assert not any(HAN.search(passage.text) for passage in english)
    assert all(len(HAN.findall(passage.text)) > 0.7 * len(passage.text) for passage in chinese)


def test_sizes():
    """40 to 120 words; a Chinese word has one to two characters."""
    words = [len(passage.text.split()) for passage in SOME[::2]]
    characters = [len(HAN.findall(passage.text)) for passage in SOME[1::2]]
    assert 40 <= min(words) < 60
    assert 100 < max(words) <= 120
    assert 70 <= min(characters) < 110
    assert 140 < max(characters) <= 200


def test_lazy():
    """The first passages of any number come at once."""
    began = time.process_time()
    assert len(list(islice(noise_passages(10**18), 3))) == 3
    assert time.process_time() - began < 1


def test_quick():
    """10,000 passages take less than two seconds."""
    began = time.process_time()
    assert sum(1 for _ in noise_passages(10_000)) == 10_000
    assert time.process_time() - began < 2


def test_deterministic_and_a_prefix_of_more():
    """The same seed gives the same passages, and more of them begin with the same ones; another seed gives others."""
    assert list(noise_passages(50)) == SOME[:50]
    assert not {passage.text for passage in noise_passages(2000, seed=1)} & {passage.text for passage in SOME}
    assert list(noise_passages(0)) == []


def test_sources_are_numbered():
    """A passage says which piece of noise it is, so that a report can name it, and claims no page or score."""
    assert [passage.source for passage in SOME[:3]] == ["noise/1", "noise/2", "noise/3"]
    assert {(passage.page, passage.last_page, passage.score) for passage in SOME} == {(None, None, None)}


def test_no_facts():
    """Digits stand in codes alone, numbers count invented units, and no placeholder is left."""
    for passage in SOME:
        left = re.sub("[QXZ][bdfgkv][2-9][hjmw]", "", passage.text)
        assert not re.search(r"[\d{}%€$]", left)
        for number in re.findall(r"\w+ty-\w+ (\w+)", passage.text):
            assert number in noise._ENGLISH.units
        for number in re.findall(r"[四五六七八九]十[一二三四六七八九](..)", passage.text):
            assert number in noise._CHINESE.units
        assert not re.search(r"\b(days?|hours?|weeks?|months?|years?|minutes?|euros?|dollars?|percent)\b", left)
        assert not re.search("[0-9一二三四五六七八九十](天|周|个|年|小时|分钟|元|次)", left)


@pytest.mark.parametrize("language", [noise._ENGLISH, noise._CHINESE], ids=["english", "chinese"])
def test_names_are_distinct_and_in_every_opening(language):
    """Each number has a name of its own; every opening names the product, so that each passage is one of a kind."""
    names = len(language.syllables) ** 3
    assert len({language.name(number) for number in range(names)}) == names
    assert len({number * noise._STEP % names for number in range(names)}) == names
    assert all("{name}" in opening for opening in language.openings)
    assert len(set(language.sentences)) == len(language.sentences) >= 20
