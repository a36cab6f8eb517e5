"""The questions of in_other_words.probe.yaml can't be answered by words: they have none of the passages that answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import read_documents
from pytest_embedqa.rag.reading import read_file
from pytest_embedqa.rag.words import words

FILE = read_file(Path(__file__).parents[3] / "suites" / "rag" / "in_other_words.probe.yaml")
PROBES = [pytest.param(probe, id=probe.name) for probe in FILE.probes]
# Words that say nothing of a subject: articles, pronouns, question words, auxiliary verbs, prepositions, conjunctions.
FUNCTION_WORDS = """
    a an the this that there it i me my we our you your he her who whom which what when where why how
    am is are be was were do does has have can could may might must shall should will would
    and if while about at for from in into of off on out to up with
"""
STOP_WORDS = frozenset(words(FUNCTION_WORDS))


@pytest.fixture(scope="module")
def passages():
    """The corpus as it is indexed for the model of the package."""
    encoder = load_encoder(parse_spec("builtin"), None)
    return list(chunked(read_documents(FILE.corpus), FILE.chunking, encoder.count_tokens))


@pytest.mark.parametrize("probe", PROBES)
def test_question_has_no_word_of_the_answer(probe, passages):
    """One passage of the corpus answers, from the named document, and has no content word of the question, whatever its inflection."""
    [expected] = probe.expect.pieces
    [passage] = [one for one in passages if expected.matches_text(one)]
    assert expected.matches(passage), "it stands in another document"
    asked = set(words(probe.ask)) - STOP_WORDS
    assert len(asked) >= 3, "too little is left to understand the question"
    assert asked & set(words(passage.text)) == set()


def test_there_are_thirty_probes():
    """There are 30 questions of 5 to 14 words, with names of their own and translations."""
    assert len({probe.name for probe in FILE.probes}) == len(FILE.probes) == 30
    assert all(5 <= len(probe.ask.split()) <= 14 for probe in FILE.probes)
    assert all(probe.translation for probe in FILE.probes)
