"""Sparse vectors, multi-vectors and scores: their checks, their rows in the store and how they are compared."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from pytest_embedqa.core.errors import EncoderFaultError, NotFiniteError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pairs import join
from pytest_embedqa.encoders.representations import MULTI_VECTOR, REPRESENTATIONS, SCORES, SPARSE
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import Store

WIDTH = 50
TEXTS = [f"text number {number}" for number in range(20)]
RANDOM = np.random.default_rng(0)
SPARSE_OF = {text: np.where(RANDOM.random(WIDTH) < 0.2, RANDOM.random(WIDTH), 0).astype("f4") for text in TEXTS}
TOKENS_OF = {text: RANDOM.standard_normal((1 + place % 4, 8)).astype("f4") for place, text in enumerate(TEXTS)}


def identity(**facts):
    """That of an engine of sparse vectors."""
    return Identity(model="m", engine="fake", **{"full_dim": WIDTH, "similarity": "dot", **facts})


class Kinds:
    """An engine of any representation, from tables; ``disturb`` forces a fault."""

    counts_tokens = True
    prompts = None
    limits = Limits(batch_tokens=10**6, batch_size=4)

    def __init__(self, representation, disturb=lambda made: made):
        self.representation, self.disturb = representation, disturb
        facts = {"sparse": {}, "multi-vector": {"full_dim": 8, "similarity": "maxsim"}, "scores": {"full_dim": None}}
        self.identity = identity(**facts[representation.name])

    def embed(self, texts):
        """From the tables; the score of a pair is the length of its document."""
        if self.representation is SPARSE:
            return self.disturb(csr_array(np.stack([SPARSE_OF.get(text, np.ones(WIDTH)) for text in texts])))
        if self.representation is MULTI_VECTOR:
            return self.disturb([TOKENS_OF[text] for text in texts])
        return self.disturb(np.array([len(SCORES.content(text, 0)) for text in texts], dtype="f4"))

    def lengths(self, texts):
        """A token a character."""
        return list(map(len, texts))

    def close(self):
        """Nothing to free."""


def model(representation, store=None, disturb=lambda made: made):
    """An encoder or a reranker around the fake engine."""
    made = Reranker if representation is SCORES else Encoder
    return made(Kinds(representation, disturb), store, spec=Spec("fake:m", "fake", "m"))


def make(representation, store=None, disturb=lambda made: made):
    """What a model of this representation gives for all texts, as a list of arrays."""
    built = model(representation, store, disturb)
    if representation is SCORES:
        found = built.score([("query", text * (1 + place)) for place, text in enumerate(TEXTS)])
        return built, list(found[:, None])
    found = built.encode(TEXTS)
    return built, list(found.toarray()) if representation is SPARSE else found


@pytest.mark.parametrize("representation", [SPARSE, MULTI_VECTOR])
def test_users_get_what_the_engine_made(representation):
    """Sparse vectors as a matrix of float32, token vectors as a list of arrays, in the order of the texts."""
    built, found = make(representation)
    expected = SPARSE_OF if representation is SPARSE else TOKENS_OF
    for one, other in zip(found, expected.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert built.kind == representation.name
    whole = built.encode([])
    assert whole.shape == (0, WIDTH) if representation is SPARSE else whole == []


def test_a_dimension_that_comes_twice_is_summed():
    """Rows of scipy may name a dimension more than once, in any order: its weights are added up, as in every product."""
    returned = csr_array((np.array([1.0, 3.0, 2.0]), np.array([7, 2, 7]), np.array([0, 3])), shape=(1, WIDTH))
    (row,) = SPARSE.rows(returned, ["a"], identity())
    assert row.tolist() == [(2, 3.0), (7, 3.0)]


def test_a_row_has_its_active_dimensions_alone():
    """Zeros that an engine kept are none, entries of one dimension are added, and the order is ascending."""
    returned = coo_array(([1.0, 2.0, 0.0, 3.0], ([0, 0, 0, 1], [7, 7, 3, 2])), shape=(2, WIDTH))
    first, second = SPARSE.rows(returned, ["a", "b"], identity())
    assert (first["dimension"].tolist(), first["weight"].tolist()) == ([7], [3.0])
    assert (SPARSE.size(first), SPARSE.size(second)) == (8, 8)
    torch = pytest.importorskip("torch")
    for form in (torch.tensor(returned.toarray()), torch.tensor(returned.toarray()).to_sparse()):
        again = SPARSE.rows(form, ["a", "b"], identity())
        assert all(SPARSE.equal(one, other) for one, other in zip((first, second), again, strict=True))
    assert not SPARSE.equal(first, second)


def test_sizes_are_those_of_float32():
    """Which people decide by: 4 bytes a number, and 4 more for the place of a sparse weight; an index keeps no score."""
    assert SPARSE.size(np.empty(5, dtype=[("dimension", "u4"), ("weight", "f4")])) == 40
    assert MULTI_VECTOR.size(np.empty((3, 8), dtype="f4")) == 96
    assert SCORES.size(np.empty(1, dtype="f4")) == 0


def test_sparse_vectors_are_compared_by_dot_product_or_cosine():
    """A vector without an active dimension is close to none but another one."""
    matrix = csr_array(np.array([[0, 3, 4], [0, 0, 0], [1, 0, 0]], dtype="f4"))
    np.testing.assert_allclose(SPARSE.similarity(matrix, matrix, "dot"), [[25, 0, 0], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(SPARSE.similarity(matrix, matrix, "cosine"), [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    full, empty, other = SPARSE.rows(matrix, ["a", "b", "c"], identity(full_dim=3))
    assert [SPARSE.closeness(full, one) for one in (full, empty, other)] == [1, 0, 0]
    assert SPARSE.closeness(empty, empty) == 1


def test_multi_vectors_are_compared_by_maxsim(monkeypatch):
    """The best token of the document for each of the query, summed or averaged, in blocks that fit into memory."""
    tokens = list(TOKENS_OF.values())
    expected = [[sum((q @ d.T).max(axis=1)) for d in tokens] for q in tokens[:5]]
    np.testing.assert_allclose(MULTI_VECTOR.similarity(tokens[:5], tokens, "maxsim"), expected, rtol=1e-5)
    counts = np.array([[len(q)] for q in tokens[:5]])
    np.testing.assert_allclose(MULTI_VECTOR.similarity(tokens[:5], tokens, "meanmaxsim"), expected / counts, rtol=1e-5)
    monkeypatch.setattr("pytest_embedqa.encoders.representations.multi_vector._SIMILARITIES", 30)
    np.testing.assert_allclose(MULTI_VECTOR.similarity(tokens[:5], tokens, "maxsim"), expected, rtol=1e-5)
    assert MULTI_VECTOR.similarity([], tokens, "maxsim").shape == (0, len(tokens))
    assert [MULTI_VECTOR.closeness(tokens[1], one) for one in (tokens[1], tokens[2])] == pytest.approx([1, 0])


def test_scores_are_not_compared():
    """A score belongs to a pair; pairs differ by their documents."""
    with pytest.raises(TypeError, match=r"scores pairs of texts; it has no vectors to compare"):
        SCORES.similarity([], [], "dot")
    assert SCORES.content(join("query", "a document"), 3) == "a document"


def nan_in(matrix):
    """NaN in one weight."""
    broken = matrix.copy()
    broken.data[3] = np.nan
    return broken


FAULTS = [
    (
        SPARSE,
        lambda _: "words",
        EncoderFaultError,
        r"returned a str\. A sparse matrix of shape \(texts, vocabulary\)",
    ),
    (SPARSE, lambda made: made[:2], EncoderFaultError, r"returned an array of shape \(2, 50\) for 4 texts"),
    (SPARSE, lambda made: made[:, :9], EncoderFaultError, r"returned vectors of 9 dimensions; it has promised 50"),
    (SPARSE, nan_in, NotFiniteError, r"returned NaN or infinity for 1 of 4 texts"),
    (SPARSE, lambda made: made * 0, EncoderFaultError, r"returned the same sparse vector for \d+ different texts"),
    (MULTI_VECTOR, lambda made: made[:2], EncoderFaultError, r"returned 2 matrices for 4 texts; one for each text"),
    (MULTI_VECTOR, lambda _: 7, EncoderFaultError, r"returned 0 matrices for 4 texts"),
    (
        MULTI_VECTOR,
        lambda made: [one[:0] for one in made],
        EncoderFaultError,
        r"returned no token vector for 'text num",
    ),
    (MULTI_VECTOR, lambda made: [one[:, :3] for one in made], EncoderFaultError, r"of 3 dimensions; it has promised 8"),
    (
        MULTI_VECTOR,
        lambda made: [one / 0 for one in made],
        NotFiniteError,
        r"returned NaN or infinity for \d of \d texts",
    ),
    (
        SCORES,
        lambda made: np.stack([made, made], axis=1),
        EncoderFaultError,
        r"returned 2 scores for a pair of texts; one",
    ),
    (SCORES, lambda made: made[:2], EncoderFaultError, r"returned an array of shape \(2, 1\) for 4 texts"),
    (SCORES, lambda made: made * np.nan, NotFiniteError, r"returned NaN or infinity for 4 of 4 texts"),
    (SCORES, lambda made: made * 0, EncoderFaultError, r"returned the same score for \d+ different texts"),
    (
        SCORES,
        lambda made: np.arange(len(made)),
        EncoderFaultError,
        r"another score in a batch of 4 than alone \(agreement",
    ),
]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(("representation", "disturb", "error", "said"), FAULTS)
def test_what_cant_be_right_is_an_error(representation, disturb, error, said):
    """And is neither stored nor scored."""
    store = Store(None)
    with pytest.raises(error, match=said):
        make(representation, store, disturb)


@pytest.mark.parametrize("damage", [lambda row: bytes([row[0] ^ 1]) + row[1:], lambda row: row[:-3]])
@pytest.mark.parametrize("representation", [SPARSE, MULTI_VECTOR, SCORES])
def test_rows_of_the_store_are_the_same_bits(representation, damage, tmp_path):
    """A row that was damaged, or cut short, is never used: the store is set aside, with a note."""
    path = tmp_path / "vectors.sqlite"
    store = Store(path)
    _, first = make(representation, store)
    store.close()
    again, second = make(representation, Store(path))
    assert again.encoded == 0
    for one, other in zip(first, second, strict=True):
        assert one.tobytes() == other.tobytes()
    connection = sqlite3.connect(path)
    ((rowid, vector),) = connection.execute("SELECT rowid, vector FROM vectors LIMIT 1 OFFSET 5")
    connection.execute("UPDATE vectors SET vector = ? WHERE rowid = ?", (damage(vector), rowid))
    connection.commit()
    connection.close()
    store = Store(path)
    repaired, third = make(representation, store)
    assert repaired.encoded == len(TEXTS)
    assert "is damaged" in store.notes[0]
    for one, other in zip(first, third, strict=True):
        assert one.tobytes() == other.tobytes()


WRITER = """
import sys
sys.path.insert(0, {folder!r})
import test_representations as here
from pathlib import Path
built, found = here.make(here.REPRESENTATIONS[{name!r}], here.Store(Path({path!r})), {disturb})
print(sum(float(abs(one).sum()) for one in found))
"""


@pytest.mark.parametrize("name", ["sparse", "multi-vector", "scores"])
def test_a_killed_run_and_several_at_once_share_their_rows(name, tmp_path):
    """One process is killed after a batch; two that come after it at the same time give what one alone gives."""
    folder, path = str(tmp_path / "here"), tmp_path / "vectors.sqlite"
    (tmp_path / "here").mkdir()
    source = __file__
    (tmp_path / "here" / "test_representations.py").write_text(open(source, encoding="utf-8").read())  # noqa: PTH123, SIM115
    dies = "lambda made, seen=[]: seen.append(1) or (__import__('os').kill(__import__('os').getpid(), 9) if len(seen) > 5 else made)"

    def start(disturb="lambda made: made"):
        code = WRITER.format(folder=folder, name=name, path=str(path), disturb=disturb)
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    killed = start(dies)
    assert killed.wait() == -9
    kept = sqlite3.connect(path).execute("SELECT count(*) FROM vectors").fetchone()[0]
    assert 0 < kept < len(TEXTS)
    said = [float(one.communicate()[0]) for one in [start(), start()]]
    alone, found = make(REPRESENTATIONS[name])
    expected = sum(float(abs(one).sum()) for one in found)
    assert said == pytest.approx([expected, expected])
    last, _ = make(REPRESENTATIONS[name], Store(path))
    assert (last.encoded, alone.encoded) == (0, len(TEXTS))


def test_pairs_are_pairs_of_strings():
    """Anything else is an error that shows it."""
    reranker = model(SCORES)
    for wrong in ("ab", ("a",), ("a", "b", "c"), ("a", None)):
        with pytest.raises(TypeError, match=r"score\(\) takes pairs \(query, document\) of strings; one of them is"):
            reranker.score([wrong])
    assert reranker.rank("a", ["xx", "xxxx", "yy"]) == [(1, 4.0), (0, 2.0), (2, 2.0)]
