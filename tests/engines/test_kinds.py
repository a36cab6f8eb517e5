"""Sparse, multi-vector and cross-encoder models in ``st``: each as sentence-transformers computes it, or refused."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import tiny_retrievers
import torch
import transformers
from huggingface_hub import constants
from mteb.models import sentence_transformer_wrapper
from mteb.models.sentence_transformer_wrapper import CrossEncoderWrapper, MultiVectorWrapper, SparseEncoderWrapper
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

from pytest_embedqa.commands.first_texts import described
from pytest_embedqa.core.errors import EngineError, OutOfMemoryError, SpecError
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.objects import engine_around
from pytest_embedqa.encoders.pool import EncoderPool
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.encoders.wording import identity_line

TEXTS = [
    "bread",
    "a night train leaves at ten from the platform nine",
    "",
    "42 degrees, isn't it?",
    *(f"text number {number} about a harbour" for number in range(12)),
]
PAIRS = [(query, document) for query in TEXTS[:3] for document in TEXTS]
LONG = "harbour " * 60
SPARSE = [tiny_retrievers.sparse, tiny_retrievers.sparse_table]
MULTI_VECTOR = [tiny_retrievers.colbert, tiny_retrievers.mean_late]
RERANKERS = [tiny_retrievers.pairs, tiny_retrievers.pooled_pairs, tiny_retrievers.yes_or_no]


def load(folder, query="", store=None):
    """The model of a folder, as a run would load it."""
    return load_model(parse_spec(f"st:{folder}{query}"), store)


def plain(folder, make):
    """The model, as a user of sentence-transformers loads it."""
    kind = SparseEncoder if make in SPARSE else MultiVectorEncoder if make in MULTI_VECTOR else CrossEncoder
    return kind(str(folder), device="cpu")


def matrices(embeddings):
    """Embeddings of any kind as a list of arrays, one a text."""
    if isinstance(embeddings, list):
        return [np.asarray(one) for one in embeddings]
    return list((embeddings.to_dense().numpy() if hasattr(embeddings, "to_dense") else embeddings.toarray())[:, None])


def assert_equal(found, expected, atol=1e-5):
    """Text by text, in shape and in numbers."""
    found, expected = matrices(found), matrices(expected)
    assert [one.shape for one in found] == [one.shape for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.filterwarnings("ignore:The sparse vector of 'bread' has no active dimension")
@pytest.mark.parametrize("make", SPARSE + MULTI_VECTOR)
def test_each_text_is_encoded_as_the_library_does(folder_of, make):
    """Prompt, role, length and expansion reach the model as in ``encode_query``, ``encode_document`` and ``encode``."""
    folder = folder_of(make)
    encoder, model = load(folder), plain(folder, make)
    assert encoder.kind == ("sparse" if make in SPARSE else "multi-vector")
    for kind, encode in ((QUERY, model.encode_query), (DOCUMENT, model.encode_document), (SYMMETRIC, model.encode)):
        assert_equal(encoder.encode(TEXTS, kind), encode(TEXTS))
    queries, documents = encoder.encode(TEXTS[:3], QUERY), encoder.encode(TEXTS)
    expected = model.similarity(model.encode_query(TEXTS[:3]), model.encode_document(TEXTS)).numpy()
    np.testing.assert_allclose(encoder.similarity(queries, documents), expected, atol=1e-5)
    assert np.ptp(expected) > 0.1, "the model tells no texts apart, so nothing is shown"


@pytest.mark.parametrize("make", RERANKERS)
def test_each_pair_is_scored_as_the_library_does(folder_of, make):
    """With its default prompt, template and activation; ranked with the best first."""
    folder = folder_of(make)
    reranker, model = load(folder), plain(folder, make)
    expected = model.predict(PAIRS)
    assert np.ptp(expected) > 0.1, "the model tells no pairs apart, so nothing is shown"
    np.testing.assert_allclose(reranker.score(PAIRS), expected, atol=1e-5)
    ranked = model.rank(TEXTS[0], TEXTS)
    assert [place for place, _ in reranker.rank(TEXTS[0], TEXTS)] == [one["corpus_id"] for one in ranked]
    assert reranker.kind == "reranker"
    assert reranker.score([]).shape == (0,)


@pytest.mark.skipif(not hasattr(sentence_transformer_wrapper, "_run_scoring_head_in_fp32"), reason="this mteb does not")
@pytest.mark.parametrize("make", RERANKERS)
def test_low_precision_scores_are_those_of_mteb(folder_of, make):
    """Its wrapper computes the last layer in float32, so that near scores do not tie; the library alone does not."""
    folder = folder_of(make)
    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": "bfloat16"})
    tied = model.predict(PAIRS, batch_size=len(PAIRS))
    scores = load(folder, f"?dtype=bf16&batch_size={len(PAIRS)}&batch_tokens=100000").score(PAIRS)
    in_mteb = CrossEncoderWrapper(model).model.predict(PAIRS, batch_size=len(PAIRS))
    np.testing.assert_allclose(scores, in_mteb, atol=1e-5)
    assert np.abs(scores - tied).max() > 1e-4


def test_prompts_of_a_reranker(folder_of):
    """A spec's prompts are text before the query and the document; with a chat template that of the query is a message."""
    folder = folder_of(tiny_retrievers.pairs)
    reranker, model = load(folder), plain(folder, tiny_retrievers.pairs)
    assert reranker.identity.prompts == {"query": "is it so that "}
    assert "declared and not used: 'document', 'query'" in reranker.prompts.origin
    assert "the default prompt of a reranker alone, before the query" in reranker.prompts.origin
    bare = load(folder, "?query_prompt=")
    np.testing.assert_allclose(bare.score(PAIRS), model.predict(PAIRS, prompt=""), atol=1e-5)
    both = load(folder, "?query_prompt=q: &document_prompt=d: ")
    joined = [(f"q: {query}", f"d: {document}") for query, document in PAIRS]
    np.testing.assert_allclose(both.score(PAIRS), model.predict(joined, prompt=""), atol=1e-5)
    folder = folder_of(tiny_retrievers.yes_or_no)
    asked = load(folder, "?query_prompt=by the handbook").score(PAIRS)
    model = plain(folder, tiny_retrievers.yes_or_no)
    np.testing.assert_allclose(asked, model.predict(PAIRS, prompt="by the handbook"), atol=1e-5)
    assert np.abs(asked - model.predict([(f"by the handbook{a}", b) for a, b in PAIRS], prompt="")).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "lengths", "limits"),
    [
        (tiny_retrievers.sparse, ([5, 64], [6, 65]), (128, 128)),
        (tiny_retrievers.sparse_table, ([1, 60], [3, 62]), (128, 128)),
        (tiny_retrievers.colbert, ([6, 65], [6, 65]), (12, 20)),
        (tiny_retrievers.mean_late, ([3, 62], [3, 62]), (16, 128)),
    ],
)
def test_tokens_are_counted_before_the_cut_of_the_role(folder_of, make, lengths, limits):
    """With prompts, and without what fills a query up; what is beyond the role's own length counts as lost."""
    encoder = load(folder_of(make))
    longer = "harbour " * 600
    for kind, counted, limit in zip((QUERY, DOCUMENT), lengths, limits, strict=True):
        assert encoder.count_tokens(["harbour", LONG], kind) == counted
        with encoder.counting_cuts() as cuts:
            encoder.encode(["harbour", longer], kind)
        assert (cuts.cut, cuts.lost) == (1, counted[0] - 1 + 600 - limit), kind


@pytest.mark.parametrize("make", RERANKERS)
def test_tokens_of_pairs_are_counted(folder_of, make):
    """Query, document, prompt and template together; a limit of the spec is that of the pair."""
    reranker, model = load(folder_of(make), "?max_length=40"), plain(folder_of(make), make)
    model.max_seq_length = 40
    pairs = [("harbour", "bread"), ("harbour", LONG)]
    with reranker.counting_cuts() as cuts:
        scores = reranker.score(pairs)
    np.testing.assert_allclose(scores, model.predict(pairs), atol=1e-5)
    whole = model.preprocess([pairs[0]], prompt=model.prompts.get(model.default_prompt_name or ""))
    assert (cuts.cut, cuts.lost) == (1, int(whole["attention_mask"].sum()) + 59 - 40)
    assert reranker.identity.max_length == 40


@pytest.mark.filterwarnings("ignore:The sparse vector of 'bread' has no active dimension")
@pytest.mark.parametrize("make", [*SPARSE, *MULTI_VECTOR, *RERANKERS])
def test_the_store_gives_the_same_bits(folder_of, make, tmp_path):
    """A run that broke off after a batch goes on from there, and the next run computes nothing."""

    def run(store, most=10**9):
        model = load(folder_of(make), "?batch_size=4", store)
        compute, done = model._engine.compute, []

        def until(texts):
            if len(done) >= most:
                raise KeyboardInterrupt
            done.append(texts)
            return compute(texts)

        model._engine.compute = until
        try:
            if make in RERANKERS:
                return model, [model.score(PAIRS)]
            return model, [matrices(model.encode(TEXTS, kind)) for kind in (QUERY, DOCUMENT)]
        except KeyboardInterrupt:
            return model, None

    path = tmp_path / "vectors.sqlite"
    _, first = run(Store(path))
    part, broken = run(Store(tmp_path / "broken.sqlite"), most=5)
    assert broken is None
    rest, second = run(Store(tmp_path / "broken.sqlite"))
    again, third = run(Store(path))
    assert part.encoded > 0
    assert part.encoded + rest.encoded == (len(PAIRS) if make in RERANKERS else 2 * len(TEXTS))
    assert again.encoded == 0
    for one, other, last in zip(first, second, third, strict=True):
        for a, b, c in zip(one, other, last, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_identity_says_the_kind_and_what_it_is_set_to(folder_of):
    """Everything that changes a row, by the names of the keys where there are keys."""
    # sentence-transformers 6.0 does not save the bound of active dimensions.
    told = {tiny_retrievers.sparse_table: "?max_active_dims=1000"}
    makes = (*SPARSE, *MULTI_VECTOR, *RERANKERS)
    found = {make: load(folder_of(make), told.get(make, "")).identity for make in makes}
    options = {make.__name__: one.options for make, one in found.items()}
    assert options == {
        "sparse": {"kind": "sparse"},
        "sparse_table": {"kind": "sparse", "max_active_dims": "1000"},
        "colbert": {
            "kind": "multi-vector",
            "query_expansion": "fixed 12",
            "query_length": "12",
            "document_length": "20",
        },
        "mean_late": {"kind": "multi-vector", "query_expansion": "min 6", "query_length": "16"},
        "pairs": {"kind": "reranker", "activation": "sigmoid"},
        "pooled_pairs": {"kind": "reranker", "activation": "none"},
        "yes_or_no": {"kind": "reranker", "activation": "sigmoid"},
    }
    assert [one.similarity for one in found.values()][:4] == ["dot", "dot", "maxsim", "meanmaxsim"]
    assert [one.full_dim for one in found.values()] == [30_522, 30_522, 16, 32, None, None, None]


def test_one_folder_as_two_kinds_shares_no_row(tmp_path):
    """What a folder does not say, ``kind=`` says; a masked language model may be either."""
    tiny_retrievers.splade(tmp_path)
    store = Store(None)
    dense, sparse = load(tmp_path, "", store), load(tmp_path, "?kind=sparse", store)
    assert dense.encode(TEXTS).shape == (len(TEXTS), 32)
    assert_equal(sparse.encode(TEXTS), SparseEncoder(str(tmp_path), device="cpu").encode_document(TEXTS))


def test_tokens_are_pooled_in_documents_alone(folder_of):
    """``pool_factor=`` is the library's hierarchical pooling, applied after the model."""
    folder = folder_of(tiny_retrievers.colbert)
    whole, pooled, model = load(folder), load(folder, "?pool_factor=2"), plain(folder, tiny_retrievers.colbert)
    assert_equal(pooled.encode(TEXTS, QUERY), whole.encode(TEXTS, QUERY))
    expected = model.encode_document(TEXTS, token_pooling=HierarchicalTokenPooling(2))
    assert_equal(pooled.encode(TEXTS), expected)
    assert sum(map(len, pooled.encode(TEXTS))) < 0.7 * sum(map(len, whole.encode(TEXTS)))
    assert pooled.identity.options["pool_factor"] == "2"


def test_lengths_and_expansion_can_be_set(folder_of):
    """As in the library's own settings."""
    folder = folder_of(tiny_retrievers.colbert)
    model = plain(folder, tiny_retrievers.colbert)
    model[0].query_expansion = {**model[0].query_expansion, "length": 8}
    model[0].document_length = 9
    changed = load(folder, "?query_length=8&document_length=9")
    assert_equal(changed.encode(TEXTS, QUERY), model.encode_query(TEXTS))
    assert_equal(changed.encode(TEXTS), model.encode_document(TEXTS))
    model[0].query_expansion = None
    off = load(folder, "?query_expansion=false")
    assert_equal(off.encode(TEXTS, QUERY), model.encode_query(TEXTS))
    assert [len(one) for one in off.encode(TEXTS[:3], QUERY)] == [6, 15, 5]
    assert "query_expansion" not in off.identity.options
    folder = folder_of(tiny_retrievers.mean_late)
    model = plain(folder, tiny_retrievers.mean_late)
    model[0].query_length = 7
    assert_equal(load(folder, "?query_length=7").encode(TEXTS, QUERY), model.encode_query(TEXTS))


def test_active_dimensions_can_be_bounded(folder_of):
    """The largest weights stay."""
    folder = folder_of(tiny_retrievers.sparse)
    found = load(folder, "?max_active_dims=10").encode(TEXTS)
    assert (np.diff(found.indptr) == 10).all()
    assert_equal(found, plain(folder, tiny_retrievers.sparse).encode_document(TEXTS, max_active_dims=10))


@pytest.mark.parametrize(("name", "layer"), [("none", torch.nn.Identity()), ("sigmoid", torch.nn.Sigmoid())])
def test_activation_can_be_set(folder_of, name, layer):
    """It changes the scale of scores, and not their order."""
    for make in (tiny_retrievers.pairs, tiny_retrievers.pooled_pairs):
        reranker = load(folder_of(make), f"?activation={name}")
        expected = plain(folder_of(make), make).predict(PAIRS, activation_fn=layer)
        np.testing.assert_allclose(reranker.score(PAIRS), expected, atol=1e-5)
        assert reranker.identity.options["activation"] == name


def test_text_without_an_active_dimension_is_noted_once(folder_of, recwarn):
    """A table of words may weigh all words of a text with 0; a text without a word is nothing to note."""
    encoder = load(folder_of(tiny_retrievers.sparse_table))
    assert np.diff(encoder.encode(["", "..."], QUERY).indptr)[0] == 0
    assert not [one for one in recwarn if "active dimension" in str(one.message)]
    with pytest.warns(UserWarning, match=r"The sparse vector of 'bread' has no active dimension .*no query finds it"):
        encoder.encode(["bread"], QUERY)
    recwarn.clear()
    encoder.encode(["bread bread"], QUERY)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:The sparse vector of 'bread' has no active dimension")
@pytest.mark.parametrize("make", [tiny_retrievers.sparse, tiny_retrievers.colbert, tiny_retrievers.pairs])
@pytest.mark.parametrize(
    "said", ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: can't allocate memory"]
)
def test_out_of_memory_halves_the_batch(folder_of, make, said, monkeypatch):
    """As with a dense model; a single text that does not fit is an error of its own."""
    model = load(folder_of(make))
    call = "predict" if make in RERANKERS else "encode"
    real, sizes = getattr(model._engine._model, call), []

    def tight(texts, **how):
        sizes.append(len(texts))
        if len(texts) > 4:
            raise RuntimeError(said)
        return real(texts, **how)

    monkeypatch.setattr(model._engine._model, call, tight)
    if make in RERANKERS:
        found, expected = model.score(PAIRS), plain(folder_of(make), make).predict(PAIRS)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    else:
        assert_equal(model.encode(TEXTS), plain(folder_of(make), make).encode_document(TEXTS))
    assert max(sizes) > 4
    with pytest.raises(OutOfMemoryError):
        model._engine.embed([f'["a", "{number}"]' for number in range(5)])


def test_what_only_dense_vectors_have_is_refused(folder_of):
    """A cut of dimensions, and vectors of a reranker."""
    with pytest.raises(
        SpecError, match=r"was given dim=8, which is for dense vectors; its model gives a sparse vector"
    ):
        load(folder_of(tiny_retrievers.sparse), "?dim=8")
    with pytest.raises(SpecError, match=r"was given dim=8, but its model scores pairs and has no vectors to cut"):
        load(folder_of(tiny_retrievers.pairs), "?dim=8")
    with pytest.raises(SpecError, match=r"is a reranker: it scores pairs .* Ask for the fixture reranker"):
        load(folder_of(tiny_retrievers.pairs)).encode(["a"])


@pytest.mark.filterwarnings("ignore:The sparse vector of 'bread' has no active dimension")
@pytest.mark.parametrize("make", [*SPARSE, *MULTI_VECTOR, *RERANKERS])
def test_objects_are_evaluated_as_what_they_are(folder_of, make):
    """A project's own fixture may return a model, its method, or mteb's wrapper: the numbers of its folder."""
    wrapper = (
        SparseEncoderWrapper if make in SPARSE else MultiVectorWrapper if make in MULTI_VECTOR else CrossEncoderWrapper
    )
    given = plain(folder_of(make), make)
    pool = EncoderPool(lambda: Store(None), lambda *_: None, lambda *_: None, None)
    method = given.predict if make in RERANKERS else given.encode
    expected = load(folder_of(make))
    for value in (given, method, wrapper(plain(folder_of(make), make))):
        model = pool.given(value)
        assert model.kind == expected.kind
        if make in RERANKERS:
            np.testing.assert_allclose(model.score(PAIRS), expected.score(PAIRS), atol=1e-5)
        else:
            for kind in (QUERY, DOCUMENT):
                assert_equal(model.encode(TEXTS, kind), expected.encode(TEXTS, kind))
    kept = pool.given(given)
    assert pool.given(given) is kept
    with torch.no_grad():
        next(iter(given.parameters())).mul_(1.5)
    assert pool.given(given).identity.digest != kept.identity.digest


def test_settings_of_an_object_are_in_its_identity(folder_of):
    """Another activation, or another bound of active dimensions, is another model."""
    pool = EncoderPool(lambda: Store(None), lambda *_: None, lambda *_: None, None)
    for make, name, value in (
        (tiny_retrievers.pairs, "activation_fn", torch.nn.Identity()),
        (tiny_retrievers.sparse, "max_active_dims", 7),
    ):
        given = plain(folder_of(make), make)
        before = pool.given(given)
        setattr(given, name, value)
        after = pool.given(given)
        assert after.identity.digest != before.identity.digest
        assert after.identity.weights != before.identity.weights


def test_object_with_several_scores_is_refused(tmp_path):
    """As its folder is."""
    path = tiny_retrievers.transformer(tmp_path, transformers.BertForSequenceClassification, num_labels=3)
    with pytest.raises(EngineError, match=r"gives 3 scores for a pair of texts"):
        engine_around(CrossEncoder(path, device="cpu"))


@pytest.mark.parametrize(
    ("make", "lines"),
    [
        (
            tiny_retrievers.sparse,
            [
                r"query: 9 tokens, \d+ active dimensions, [\d,]+ bytes",
                r"document: \d+ tokens, [\d,]+ active",
                r"similarity \(dot\): \d",
            ],
        ),
        (
            tiny_retrievers.colbert,
            [
                r"query: 10 tokens, 12 token vectors, 768 bytes",
                r"document: 17 tokens, 13 tok",
                r"similarity \(maxsim\)",
            ],
        ),
        (tiny_retrievers.yes_or_no, [r"2 pairs scored: 0\.\d{4} with an answer, 0\.\d{4} with another document"]),
    ],
)
def test_doctor_says_what_a_model_makes_of_a_text(folder_of, make, lines):
    """Tokens, active dimensions or token vectors, and bytes: the numbers that the model gives."""
    said = list(described(load(folder_of(make))))
    assert len(said) == len(lines)
    for line, pattern in zip(said, lines, strict=True):
        assert re.match(pattern, line), line


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (tiny_retrievers.sparse, "· sparse · cpu float32 · 30522 dimensions · at most 128 tokens ·"),
        (
            tiny_retrievers.colbert,
            "· multi-vector · cpu float32 · 16 dimensions · query: at most 12 tokens, document: at most 20 tokens ·",
        ),
        (tiny_retrievers.pairs, "· reranker · cpu float32 · activation sigmoid · at most 128 tokens ·"),
    ],
)
def test_a_line_names_the_kind(folder_of, make, says):
    """In headers and failures, with lengths by role and the scale of scores."""
    assert says in identity_line(load(folder_of(make)).identity.as_dict())


def test_names_on_the_hub_are_the_kind_that_their_files_say(folder_of, tmp_path, monkeypatch):
    """Of a model in the Hub's cache its facts are read first, as of a folder."""
    snapshot = tmp_path / "models--org--words" / "snapshots" / ("0" * 40)
    shutil.copytree(folder_of(tiny_retrievers.sparse), snapshot)
    (tmp_path / "models--org--words" / "refs").mkdir()
    (tmp_path / "models--org--words" / "refs" / "main").write_text("0" * 40)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path), raising=False)
    monkeypatch.setattr("pytest_embedqa.encoders.hub.hub_is_reachable", lambda: False)
    monkeypatch.setattr("pytest_embedqa.encoders.model_folder.hub_is_reachable", lambda: False)
    model = load_model(parse_spec("st:org/words"), None)
    assert (model.kind, model.name) == ("sparse", "org/words")
    with pytest.raises(EngineError, match=r"^kind=dense was given, but the folder .* is a SparseEncoder"):
        load_model(parse_spec("st:org/words?kind=dense"), None)


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_retrievers.sparse, tiny_retrievers.colbert, tiny_retrievers.pairs])
def test_replicas_give_what_one_model_gives(folder_of, make):
    """``ray+st:`` of every kind: in the order of the texts, with lengths and limits of the role."""
    pytest.importorskip("ray", reason="needs the extra ray")
    spread = load_model(parse_spec(f"ray+st:{folder_of(make)}?replicas=1&batch_size=5"), None)
    alone = load(folder_of(make))
    try:
        assert spread.kind == alone.kind
        assert spread.identity.digest == alone.identity.digest
        if make in RERANKERS:
            np.testing.assert_allclose(spread.score(PAIRS), alone.score(PAIRS), atol=1e-5)
        else:
            for kind in (QUERY, DOCUMENT):
                assert_equal(spread.encode(TEXTS, kind), alone.encode(TEXTS, kind))
                assert spread.count_tokens(TEXTS, kind) == alone.count_tokens(TEXTS, kind)
    finally:
        spread.close()
