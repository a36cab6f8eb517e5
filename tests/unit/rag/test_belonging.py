"""Index and model belong together, or not: told from scores, with the embedded model and indexes built in other ways."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.rag.belonging import check_belonging

# Some longer than 16 tokens, so that a model that cuts there is another model.
TEXTS = [
    "Yeast makes the dough rise overnight, and a hot oven of stone gives the loaf its dark and crackling crust.",
    "The ferry to the island leaves at nine in the morning, and in winter only when the wind is not too strong.",
    "The lighthouse keeper feeds two seals every day before he climbs the stairs and lights the great lamp.",
    "Snow closes the mountain pass in January; the villages behind it live on what they stored in their cellars.",
    "A cellist tunes her strings by ear, listening to the beats that two almost equal tones make together.",
    "The library lends maps of the old town, on which the names of streets are those of the trades.",
    "Seven planets.",
    "Bees dance to tell where flowers are.",
]
QUERIES = ["How does bread rise?", "When does the boat to the island go?", "Who feeds the seals?", "Is the pass open?"]
APART = "does not belong to the model that embeds queries"
UNKNOWN = "can't be told from these scores"


@pytest.fixture(scope="module")
def encoder():
    """The embedded model."""
    return load_encoder(parse_spec("builtin"), Store(None))


@pytest.fixture(scope="module")
def shorter():
    """The embedded model, which cuts texts at 16 tokens here: other vectors of the same dimension."""
    return load_encoder(parse_spec("builtin?max_length=16"), Store(None))


class Index:
    """A dense retriever: vectors of passages, and what embeds queries."""

    def __init__(self, encoder, vectors, *, to_score=float, texts=TEXTS):
        """Scores are cosines unless ``to_score`` makes others of them."""
        self.encoder, self.vectors, self.to_score, self.texts = encoder, vectors, to_score, texts

    def __call__(self, query, k, /):
        """The nearest passages."""
        cosines = self.vectors @ self.encoder.encode([query], "query")[0]
        return [Passage(self.texts[row], score=self.to_score(cosines[row])) for row in np.argsort(-cosines)[:k]]


def forgetful(index):
    """The same, but a passage is never found with its own text."""
    return lambda query, k: [passage for passage in index(query, k + 1) if passage.text != query][:k]


def test_what_belongs_together_holds(encoder):
    """The model's own index has the model's cosines, every one that was returned, own texts included."""
    found = check_belonging(Index(encoder, encoder.encode(TEXTS)), encoder, QUERIES)
    assert found.holds
    assert found.apart < 1e-5
    assert found.compared == 5 * (len(QUERIES) + 5)
    assert "45 scores are the cosines of 'builtin'" in found.reason


def test_half_precision_holds(encoder):
    """What an index in float16 rounds is no other model."""
    found = check_belonging(Index(encoder, encoder.encode(TEXTS).astype(np.float16)), encoder, QUERIES)
    assert found.holds
    assert found.apart > 0


def test_index_of_another_model_is_found(encoder, shorter):
    """An index that another model built, of the same dimension, does not belong to the model that embeds queries."""
    found = check_belonging(Index(encoder, shorter.encode(TEXTS)), encoder, QUERIES)
    assert found.holds is False
    assert APART in found.reason
    assert "searched with its own text, has cosine 0." in found.reason
    assert found.apart > 0.1


def test_vectors_in_another_order_are_found(encoder):
    """An index whose vectors are those of other passages is not the model's, though every vector is."""
    found = check_belonging(Index(encoder, np.roll(encoder.encode(TEXTS), 1, axis=0)), encoder, QUERIES)
    assert found.holds is False
    assert APART in found.reason


def test_passage_that_its_own_text_does_not_find_is_found(encoder):
    """A passage that others replace, which are further away, is reported though all scores that came are right."""
    found = check_belonging(forgetful(Index(encoder, encoder.encode(TEXTS))), encoder, QUERIES)
    assert found.apart < 1e-5
    assert found.holds is False
    assert "searched with its own text, the passage 'Snow closes" in found.reason


def test_copy_in_the_place_of_a_passage_is_no_fault(encoder):
    """Of passages that are equally near, any may come."""
    copies = [TEXTS[0] + " " * count for count in range(8)]
    index = Index(encoder, encoder.encode(copies), texts=copies)
    assert check_belonging(forgetful(index), encoder, QUERIES).holds


def test_system_on_another_model_than_named_is_found(encoder, shorter):
    """Index and queries of one model, which is not the one under test, are told from an outdated index."""
    found = check_belonging(Index(shorter, shorter.encode(TEXTS)), encoder, QUERIES)
    assert found.holds is False
    assert "of one model, but it is not 'builtin' as given" in found.reason


def test_prompt_that_the_system_leaves_out_is_found(encoder):
    """A query prompt that only the encoder has makes another model of it; with it on both sides all is well."""
    prompted = encoder.with_prompts(Prompts(prefixes={"query": "Find what answers this question: "}))
    assert check_belonging(Index(prompted, prompted.encode(TEXTS)), prompted, QUERIES).holds
    found = check_belonging(Index(encoder, encoder.encode(TEXTS)), prompted, QUERIES)
    assert found.holds is False
    assert "as given" in found.reason
    assert "prompt" in found.reason


def test_scores_are_made_cosines_as_told(encoder):
    """Scores of (1 + cosine) / 2 agree once they are made cosines, and not as they are."""
    index = Index(encoder, encoder.encode(TEXTS), to_score=lambda cosine: (1 + float(cosine)) / 2)
    assert check_belonging(index, encoder, QUERIES, to_cosine=lambda score: 2 * score - 1).holds
    assert check_belonging(index, encoder, QUERIES).holds is False


def test_differing_dimensions_are_an_answer(encoder):
    """A server that says that dimensions differ is not together with its index; any other failure stays one."""

    def failing(text):
        def retrieve(query, k, /):
            raise EngineError(text)

        return retrieve

    found = check_belonging(failing("Embedding Dimension 384 does not match 1024."), encoder, QUERIES)
    assert found.holds is False
    assert found.reason == (
        "Index and model have vectors of different dimensions. Embedding Dimension 384 does not match 1024."
    )
    with pytest.raises(EngineError, match="unreachable"):
        check_belonging(failing("unreachable"), encoder, QUERIES)


def by_words(query, k, /):
    """BM25."""
    index = bm25s.BM25()
    index.index(bm25s.tokenize(TEXTS, show_progress=False), show_progress=False)
    rows, scores = index.retrieve(bm25s.tokenize(query, show_progress=False), k=k, show_progress=False)
    return [Passage(TEXTS[row], score=float(score)) for row, score in zip(rows[0], scores[0], strict=True)]


def by_ranks(query, k, /):
    """Reciprocal-rank fusion of two lists that agree."""
    return [Passage(passage.text, score=2 / (60 + rank)) for rank, passage in enumerate(by_words(query, k), 1)]


@pytest.mark.parametrize(
    ("retriever", "to_cosine", "text"),
    [
        (by_words, None, "scores are no cosines"),
        (by_words, float, "they are no cosines: the highest is"),
        (by_ranks, float, "they are no cosines: the highest is 0.0328"),
        (lambda *_: [Passage(TEXTS[0])], float, "gives passages no scores"),
        (lambda *_: [Passage(TEXTS[0], score=-0.5, distance=0.5)], float, "no scores, or distances"),
        (lambda *_: [], float, "found nothing for any of 4 queries"),
    ],
)
def test_what_scores_cannot_tell_is_said(encoder, retriever, to_cosine, text):
    """Scores that are no cosines give neither yes nor no, but the reason."""
    found = check_belonging(retriever, encoder, QUERIES, to_cosine=to_cosine)
    assert found.holds is None
    assert UNKNOWN in found.reason
    assert text in found.reason
    assert found.compared == 0
