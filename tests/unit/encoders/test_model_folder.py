"""What a model's folder says, in the forms in which sentence-transformers has written it."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.digest import folder_digest
from pytest_embedqa.encoders.model_folder import find_folder, limit_of, read_folder, weights_digest


@pytest.fixture
def folder(tmp_path):
    """Writes files: ``folder({"modules.json": ...})``."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


def modules(*names):
    """A modules.json."""
    return [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{name}" if number else "",
            "type": f"sentence_transformers.models.{name}",
        }
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max+mean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"embedding_dimension": 8, "pooling_mode": "weightedmean"}, "weightedmean"),
        ({"embedding_dimension": 8, "pooling_mode": ["cls", "mean"]}, "cls+mean"),
        ({"embedding_dimension": 8}, "mean"),
    ],
)
def test_pooling_of_old_and_new_files(folder, config, pooling):
    """A truth value for each kind, one name, or several."""
    files = {"modules.json": modules("Transformer", "Pooling"), "1_Pooling/config.json": config}
    found = read_folder(folder(files))
    assert (found.pooling, found.normalize, found.modules) == (pooling, False, ("Transformer", "Pooling"))


def test_what_is_not_there_is_not_claimed(tmp_path):
    """An empty folder says nothing."""
    found = read_folder(tmp_path)
    assert (found.modules, found.pooling, found.normalize, found.max_length, found.prompts) == (
        (),
        None,
        False,
        None,
        None,
    )
    assert found.similarity == "cosine"


def test_normalize_module(folder):
    """Normalisation is a module of its own."""
    assert read_folder(folder({"modules.json": modules("Transformer", "Pooling", "Normalize")})).normalize


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sentence_bert_config.json": {"max_seq_length": 256}, "config.json": {"max_position_embeddings": 512}}, 256),
        ({"sentence_bert_config.json": {"max_seq_length": None}, "config.json": {"max_position_embeddings": 512}}, 512),
        ({"config.json": {"max_position_embeddings": 514}, "tokenizer_config.json": {"model_max_length": 512}}, 512),
        ({"tokenizer_config.json": {"model_max_length": 1000000000000000019884624838656}}, None),
    ],
)
def test_max_length_is_what_sentence_transformers_would_take(folder, files, expected):
    """Its own file first, else the smaller of model and tokenizer; a tokenizer's 'no limit' is none."""
    assert read_folder(folder(files)).max_length == expected


def test_prompts_similarity_and_case(folder):
    """The rest of what changes vectors or scores."""
    files = {
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "passage": "passage: ", "document": ""},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
        },
        "sentence_bert_config.json": {"do_lower_case": True},
    }
    found = read_folder(folder(files))
    assert found.prompts.prefixes == {
        "query": "query: ",
        "passage": "passage: ",
        "document": "passage: ",
        "symmetric": "query: ",
    }
    assert (found.prompts.source, found.similarity, found.lower_case) == ("model", "dot", True)


def test_broken_file_is_named(folder):
    """Half a download is not an absent file."""
    with pytest.raises(EngineError, match=r"modules.json can't be read: .*Fetch the model again"):
        read_folder(folder({"modules.json": "[{"}))


def test_folder_is_found(tmp_path):
    """A path is itself; a name that is not in the Hub's cache is nothing."""
    assert find_folder(str(tmp_path)) == tmp_path
    assert find_folder("no-such-org/no-such-model") is None


@pytest.mark.parametrize(("said", "limit"), [(512, 512), (None, None), (0, None), (10**30, None), (float("inf"), None)])
def test_numbers_that_stand_for_no_limit(said, limit):
    """A tokenizer writes 1e30, a static model infinity, and word vectors a million."""
    assert limit_of(said) == limit


@pytest.mark.parametrize(
    "names",
    [
        lambda base: {"adapter_config.json": {"base_model_name_or_path": base}},
        lambda base: {"modules.json": modules("Transformer"), "adapter_config.json": {"base_model_name_or_path": base}},
        lambda base: {"modules.json": [{**modules("Transformer")[0], "path": base}]},
        lambda _: {"modules.json": [{**modules("Transformer")[0], "path": "../base"}]},
        lambda base: {"config.json": {"auto_map": {"AutoModel": f"{base}--modeling.Model"}}},
        lambda base: {"config.json": {"auto_map": {"AutoTokenizer": [None, f"{base}--tokenization.Tokenizer"]}}},
    ],
    ids=["adapter", "adapter in a module", "module elsewhere", "module beside", "code", "code of a tokenizer"],
)
def test_what_a_folder_names_elsewhere_decides_too(tmp_path, names):
    """Another base model under the same adapter is another model: vectors of the old one must not be served."""
    base, model = tmp_path / "base", tmp_path / "model"
    base.mkdir(), model.mkdir()
    (base / "model.safetensors").write_bytes(b"old")
    for name, content in names(str(base)).items():
        (model / name).write_text(json.dumps(content))
    before = weights_digest(model)
    (base / "model.safetensors").write_bytes(b"new")
    assert weights_digest(model) != before


def test_a_folder_that_names_nothing_else_is_its_files(folder):
    """Its digest is that of the folder."""
    model = folder(
        {"modules.json": modules("Transformer", "Pooling"), "config.json": {"auto_map": {"AutoModel": "code.Model"}}}
    )
    assert weights_digest(model) == folder_digest(model)


def test_a_base_model_that_is_not_there_is_named(folder):
    """Without it nobody can say whether stored vectors are those of this model."""
    model = folder({"adapter_config.json": {"base_model_name_or_path": "nobody/base-model"}})
    with pytest.raises(
        EngineError, match=r"is loaded with nobody/base-model, which is not on this machine\. Fetch it\."
    ):
        weights_digest(model)
