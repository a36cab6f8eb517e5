"""Kinds of models that are refused: parts of random numbers, what contradicts the folder, what a model's files may not ask for."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_retrievers
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.spec import parse_spec


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of each model, made once, by its name."""
    folder = tmp_path_factory.mktemp("made")
    tiny_retrievers.transformer(folder / "bare")
    tiny_retrievers.transformer(folder / "words", transformers.BertForMaskedLM)
    tiny_retrievers.transformer(folder / "colpali", architectures=["ColPaliForRetrieval"])
    tiny_retrievers.transformer(folder / "two", transformers.BertForSequenceClassification, num_labels=2)
    for make in (tiny_retrievers.pairs, tiny_retrievers.pooled_pairs, tiny_retrievers.colbert, tiny_retrievers.sparse):
        make(folder / make.__name__)
    SentenceTransformer(str(folder / "bare"), device="cpu").save_pretrained(str(folder / "dense"))
    return folder


@pytest.fixture
def changed(made, tmp_path):
    """A copy of a folder with other weights, or other values in one of its files."""

    def make(name, part="", weights=None, file="config.json", **values):
        folder = tmp_path / name
        shutil.copytree(made / name, folder)
        if weights:
            path = folder / part / "model.safetensors"
            save_file(weights(load_file(path)), path, {"format": "pt"})
        if values:
            (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), **values}))
        return folder

    return make


def load(folder, query=""):
    """The model of a folder."""
    return load_model(parse_spec(f"st:{folder}{query}"), None)


@pytest.mark.parametrize(
    ("kind", "cls", "lack"),
    [
        ("sparse", SparseEncoder, "a head that predicts words"),
        ("multi-vector", MultiVectorEncoder, "a projection of its token vectors"),
        ("reranker", CrossEncoder, "a head that scores a pair of texts"),
    ],
)
def test_parts_of_random_numbers_are_refused(made, kind, cls, lack):
    """sentence-transformers makes such a model of any folder, another one each time."""
    model, other = cls(str(made / "bare"), device="cpu"), cls(str(made / "bare"), device="cpu")
    parts = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    assert not all(torch.equal(one, two) for one, two in parts), "nothing is random here, so nothing is shown"
    with pytest.raises(
        EngineError, match=r"is no trained .*: it has not .* Give a model that was trained as one"
    ) as told:
        load(made / "bare", f"?kind={kind}")
    assert f"{lack} (it was saved as BertModel)" in str(told.value)
    assert "random numbers" in str(told.value)


@pytest.mark.parametrize(
    ("name", "asked", "kind"),
    [
        ("sparse", "dense", "SparseEncoder"),
        ("colbert", "sparse", "MultiVectorEncoder"),
        ("dense", "multi-vector", "SentenceTransformer"),
        ("pairs", "multi-vector", "CrossEncoder"),
        ("pairs/raw", "dense", "CrossEncoder"),
    ],
)
def test_kind_that_contradicts_the_folder_is_an_error(made, name, asked, kind):
    """What the folder says is so."""
    with pytest.raises(
        EngineError, match=rf"^kind={asked} was given, but the folder .* says that the model is a {kind} "
    ):
        load(made / name, f"?kind={asked}")


def test_what_the_folder_says_may_be_said_again(made):
    """To no effect."""
    assert load(made / "sparse", "?kind=sparse").kind == "sparse"


def test_kind_that_nobody_knows_is_an_error(changed):
    """A later release of sentence-transformers may have a fifth."""
    folder = changed("dense", file="config_sentence_transformers.json", model_type="GraphEncoder")
    with pytest.raises(EngineError, match=r"is a GraphEncoder \(model_type .*\), which nobody knows here: SentenceT"):
        load(folder)


def test_documents_are_texts(made):
    """A model that finds images of pages has no use here."""
    config = made / "colpali" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": ["ColPaliForRetrieval"]}))
    with pytest.raises(
        EngineError, match=r"\(ColPaliForRetrieval\) finds images of pages, and here documents are texts"
    ):
        load(made / "colpali")


@pytest.mark.parametrize(
    ("name", "part", "gone", "said"),
    [
        ("pairs", "", "classifier.weight", r"lack classifier\.weight; .*random numbers"),
        ("pairs", "", "bert.pooler.dense.weight", r"lack bert\.pooler\.dense\.weight, and the model reads its pooler"),
        ("sparse", "", "cls.predictions.bias", r"lack cls\.predictions\.bias.*; .*random numbers"),
        ("colbert", "1_Dense", "linear.weight", r"(?s)can't be loaded: .*Missing key.*linear\.weight.*fetch or save"),
        ("pooled_pairs", "2_Dense", "linear.bias", r"(?s)can't be loaded: .*Missing key.*linear\.bias"),
    ],
)
def test_missing_weights_of_a_head_are_an_error(changed, name, part, gone, said):
    """Random numbers would stand there, and each run score otherwise."""
    folder = changed(name, part, lambda weights: {key: one for key, one in weights.items() if key != gone})
    with pytest.raises(EngineError, match=said):
        load(folder)


@pytest.mark.parametrize("name", ["pairs", "sparse"])
def test_layers_without_a_place_are_an_error_behind_a_head_too(changed, name):
    """A config.json of fewer layers would compute another model."""
    with pytest.raises(
        EngineError, match=r"have bert\.encoder\.layer\.1\..*, which the model's config.json has no place"
    ):
        load(changed(name, num_hidden_layers=1))


def test_a_classifier_is_no_reranker(made):
    """Two scores a pair put nothing in order."""
    with pytest.raises(
        EngineError, match=r"gives 2 scores for a pair of texts; one is needed to put documents in order"
    ):
        load(made / "two")


OWN = "config_sentence_transformers.json"


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.get_rng_state"}}),
        ("config.json", {"sbert_ce_default_activation_function": "someone.Layer"}),
        (OWN, {"activation_fn": "torch.get_rng_state"}),
        (OWN, {"activation_fn": "mypackage.Scale"}),
    ],
)
def test_files_of_a_reranker_run_no_code(changed, file, values):
    """sentence-transformers calls what the file names, or leaves it out with a line in its log."""
    named = next(iter(values.values()))
    named = named["activation_fn"] if isinstance(named, dict) else named
    with pytest.raises(
        EngineError,
        match=r"The model of the spec .* is not loaded: its .* names the activation .*, which is no layer of torch\.nn, and a model's files are data\. Choose another model, or save it with one",
    ) as told:
        load(changed("pairs", file=file, **values))
    assert f"{file} names the activation {named}," in str(told.value)


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("pairs", "pooling=mean", r"^pooling= was given, but .* is a CrossEncoder \(.*\), which has no such setting"),
        ("sparse", "normalize=true", r"^normalize= was given, but .* is a SparseEncoder"),
        ("dense", "pool_factor=2", r"^pool_factor= was given, but .* is a SentenceTransformer \(a dense encoder"),
        ("colbert", "max_active_dims=5", r"^max_active_dims= was given, but .* is a MultiVectorEncoder"),
        ("sparse", "activation=none", r"^activation= was given, but .* is a SparseEncoder"),
        ("colbert", "max_length=9", r"^max_length= was given, but .* cuts texts by their role \(document, query\)"),
        (
            "routed",
            "query_length=9",
            r"^query_length= was given, but the model of the spec .* begins with the module Router, which has no such setting\. Leave it out",
        ),
        ("unexpanded", "query_expansion=true", r"^query_expansion=true was given, but .* says nothing of it"),
        ("pooling", "pool_factor=2", r"^pool_factor= was given, but .* pools its token vectors itself"),
    ],
)
def test_key_of_another_kind_is_an_error(made, tmp_path, name, query, said):
    """It would be without effect."""
    folder = made / name
    if name in {"unexpanded", "pooling", "routed"}:
        folder = tmp_path
        pooling = [HierarchicalTokenPooling(2.0)] if name == "pooling" else []
        words = Transformer(str(made / "bare"))
        if name == "routed":
            words = Router.for_query_document(query_modules=[words], document_modules=[words])
        modules = [words, MultiVectorMask(), *pooling]
        MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    with pytest.raises(EngineError, match=said):
        load(folder, f"?{query}")


@pytest.mark.parametrize("value", ["1", "0.5", "nan", "inf", "half"])
def test_pool_factor_is_a_number_above_1(made, value):
    """One keeps all, and less than one means nothing."""
    with pytest.raises(Exception, match=r"pool_factor.*(a number above 1 is expected|could not convert)"):
        load(made / "colbert", f"?pool_factor={value}")


def test_trained_parts_of_every_sort_are_loaded(tmp_path, made):
    """A sparse autoencoder on a dense model, and a multi-vector model without a projection."""
    words = Transformer(str(made / "bare"))
    torch.manual_seed(0)
    modules = [words, Pooling(32, "mean"), SparseAutoEncoder(32, 64, k=8)]
    SparseEncoder(modules=modules, device="cpu").save_pretrained(str(tmp_path / "sae"), create_model_card=False)
    found = load(tmp_path / "sae")
    assert (found.kind, found.identity.full_dim, found.encode(["a text"]).nnz <= 8) == ("sparse", 64, True)
    modules = [words, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(tmp_path / "mv"), create_model_card=False)
    assert load(tmp_path / "mv").encode(["a text"])[0].shape == (4, 32)


def test_checkpoints_of_older_tools_are_multi_vector_models(tmp_path, made):
    """Stanford's ColBERT has its projection beside the weights; PyLate names a module of its own."""
    folder = tmp_path / "stanford"
    shutil.copytree(made / "bare", folder)
    weights = {f"bert.{name}": one for name, one in load_file(folder / "model.safetensors").items()}
    torch.manual_seed(0)
    save_file({**weights, "linear.weight": torch.randn(8, 32)}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    stanford = load(folder)
    assert (stanford.kind, stanford.identity.full_dim) == ("multi-vector", 8)
    assert stanford.identity.options["query_expansion"] == "fixed 32"
    assert len(stanford.encode(["a text"], "query")[0]) == 32
    narrow = Dense(32, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    modules = [Transformer(str(made / "bare")), narrow]
    folder = tmp_path / "pylate"
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["type"] = "pylate.models.Dense.Dense"
    (folder / "modules.json").write_text(json.dumps(listed))
    own = {"query_prefix": "[Q] ", "document_prefix": "[D] ", "model_type": "ColBERT", "query_length": 24}
    (folder / OWN).write_text(json.dumps(own))
    pylate = load(folder)
    assert pylate.identity.prompts == {"query": "[Q] ", "document": "[D] "}
    assert pylate.identity.options["query_expansion"] == "fixed 24"
    assert pylate.encode(["a text"])[0].shape[1] == 8


def test_model_that_turns_out_to_be_of_another_kind_is_an_error(made, monkeypatch):
    """A name on the Hub whose files could not be looked at before the download: the next run knows them."""
    monkeypatch.setattr("pytest_embedqa.encoders.engines.loading.class_of", lambda *_: "SentenceTransformer")
    with pytest.raises(
        EngineError, match=r"is a SparseEncoder \(.*\) and was loaded as another kind\. It is on this machine now"
    ):
        load(made / "sparse")
