"""The search for mteb: the rankings of mteb's own search, from less memory."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import mteb
import numpy as np
import pytest
from datasets import Dataset
from mteb.models.search_wrappers import SearchEncoderWrapper

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.representations import DENSE
from pytest_embedqa.quality.mteb import corpus as corpus_module
from pytest_embedqa.quality.mteb import exact_search as search_module
from pytest_embedqa.quality.mteb.corpus import Corpus, on_disk
from pytest_embedqa.quality.mteb.model import MtebModel

METADATA = mteb.get_task("ArguAna").metadata
WORDS = ["river", "stone", "bridge", "market", "winter", "letter", "garden", "engine", "island", "mirror"]


class Hashing:
    """Vectors that depend on the text alone: one for each word, added."""

    quantization = None
    representation = DENSE

    def __init__(self, similarity):
        """For a model trained for this similarity."""
        self.identity = Identity("m", "e", similarity=similarity)
        self.calls = []

    def encode(self, texts, kind, task):
        """Vectors of shape (n, 24); which texts were asked for is noted."""
        assert task is None
        self.calls.append((kind, texts))
        return np.stack([np.sum([vector(word) for word in text.split()], axis=0) for text in texts])


def vector(word):
    """Numbers that depend on the word."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).standard_normal(24).astype(np.float32)


def words(seed, count):
    """Some words in some order."""
    return " ".join(np.random.default_rng(seed).choice(WORDS, size=count))


@pytest.fixture
def corpus():
    """130 documents, some with a title, none twice."""
    rows = [
        {"id": f"d{number}", "title": "" if number % 3 else f"title {number}", "text": f"{words(number, 9)} {number} "}
        for number in range(130)
    ]
    return Dataset.from_list(rows)


@pytest.fixture(params=[False, True], ids=["plain", "instructed"])
def queries(request):
    """Ten questions, with an instruction each or without."""
    rows = [{"id": f"q{number}", "text": words(1000 + number, 5)} for number in range(10)]
    if request.param:
        rows = [{**row, "instruction": f"mind the {WORDS[number]}"} for number, row in enumerate(rows)]
    return Dataset.from_list(rows)


@pytest.fixture(params=[16, 1 << 14])
def _blocks(request, monkeypatch):
    """Documents come in small blocks, or in one."""
    monkeypatch.setattr(search_module, "_DOCUMENTS", request.param)
    monkeypatch.setattr(corpus_module, "_IDS", request.param)


def rankings(model, corpus, queries, **options):
    """What a model of mteb's finds."""
    about = {"task_metadata": METADATA, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {"batch_size": 8}}
    model.index(corpus, num_proc=None, **about)
    return model.search(queries, top_k=20, num_proc=None, **about, **options)


def assert_same(ours, theirs):
    """The same documents with the same scores."""
    assert list(ours) == list(theirs)
    for query, scores in theirs.items():
        assert set(ours[query]) == set(scores)
        assert ours[query] == pytest.approx(scores, rel=1e-5, abs=1e-5)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_rankings_are_those_of_mteb(corpus, queries, similarity):
    """Same documents, same scores; titles, blanks and instructions reach the model as mteb joins them."""
    ours, theirs = MtebModel(Hashing(similarity)), MtebModel(Hashing(similarity))
    assert_same(rankings(ours, corpus, queries), rankings(SearchEncoderWrapper(theirs), corpus, queries))
    assert {text for _, texts in ours.encoder.calls for text in texts} == {
        text for _, texts in theirs.encoder.calls for text in texts
    }


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_rankings_of_candidates_are_those_of_mteb(corpus, queries, similarity):
    """Where a task names the documents to rank for each query, only these are encoded and ranked."""
    candidates = {f"q{query}": [f"d{(7 * query + 3 * step) % 130}" for step in range(query * 3)] for query in range(9)}
    ours = rankings(MtebModel(Hashing(similarity)), corpus, queries, top_ranked=candidates)
    model = MtebModel(Hashing(similarity))
    assert_same(ours, rankings(SearchEncoderWrapper(model), corpus, queries, top_ranked=candidates))
    assert ours["q0"] == ours["q9"] == {}


def test_only_candidates_are_encoded(corpus, queries):
    """mteb would encode the whole corpus for a list of two."""
    model = MtebModel(Hashing("cosine"))
    rankings(model, corpus, queries, top_ranked={"q1": ["d5", "d9"]})
    documents = [text for kind, texts in model.encoder.calls if kind == "document" for text in texts]
    assert [text.split()[-1] for text in documents] == ["5", "9"]


def test_numbers_of_documents(corpus):
    """Numbers of documents that are there, texts and ids by number in any order."""
    some = Corpus(corpus)
    assert len(some) == 130
    assert some.numbers({"d7", "d129", "absent"}) == {"d7": 7, "d129": 129}
    assert some.ids([9, 3]) == ["d9", "d3"]
    assert [text.split()[-1] for text in some.texts([9, 3])] == ["9", "3"]
    assert some.texts([9])[0].startswith("title 9 ")


def test_own_corpus_is_written_once(tmp_path):
    """A corpus of one's own is read from disk, in the order of its file; the second time nothing is written."""
    rows = [{"id": f"d{number}", "title": "", "text": f"text {number}"} for number in range(5)]
    path = tmp_path / "folder" / "test.arrow"
    assert list(on_disk(path, iter(rows))) == rows
    assert list(on_disk(path, iter(SimpleNamespace() for _ in ()))) == rows
    assert [file.name for file in path.parent.iterdir()] == ["test.arrow"]


def test_wrong_row_leaves_no_file(tmp_path, monkeypatch):
    """What was written before a row turned out to be wrong is not taken for the corpus next time."""
    monkeypatch.setattr(corpus_module, "_ROWS", 2)

    def rows():
        yield from ({"id": f"d{number}", "title": "", "text": "text"} for number in range(5))
        raise DataError("line 6 is wrong.")

    path = tmp_path / "test.arrow"
    with pytest.raises(DataError, match="line 6 is wrong"):
        on_disk(path, rows())
    assert not list(tmp_path.iterdir())


def test_corpus_without_a_place_names_it(tmp_path):
    """A cache that can't be written is named, with what decides where it is."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"The corpus can't be kept in .*file: .*Let XDG_CACHE_HOME name a folder"):
        on_disk(tmp_path / "file" / "test.arrow", iter([{"id": "a", "title": "", "text": "b"}]))
