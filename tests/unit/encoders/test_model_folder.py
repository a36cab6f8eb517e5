"""What a model's folder says, in the forms in which sentence-transformers has written it."""

from __future__ import annotations

import contextlib
import json

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders import model_folder
from pytest_embedqa.encoders.digest import folder_digest
from pytest_embedqa.encoders.model_files import require_fetched, require_one_tokenizer
from pytest_embedqa.encoders.model_folder import find_folder, limit_of, read_folder, weights_digest
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, declared_prompts
from pytest_embedqa.encoders.spec import parse_spec


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
    """Normalisation is a module of its own, the last one: what follows it may undo it."""
    files = {"1_Pooling/config.json": {"pooling_mode": "mean"}, "2_Dense/config.json": {}}
    last = {**files, "modules.json": modules("Transformer", "Pooling", "Normalize")}
    assert read_folder(folder(last)).normalize
    before = [*modules("Transformer", "Pooling"), modules("", "", "", "Normalize")[3], modules("", "", "Dense")[2]]
    assert not read_folder(folder({**files, "modules.json": before})).normalize


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sentence_bert_config.json": {"max_seq_length": 256}, "config.json": {"max_position_embeddings": 512}}, 256),
        ({"sentence_bert_config.json": {"max_seq_length": None}, "config.json": {"max_position_embeddings": 512}}, 512),
        ({"config.json": {"max_position_embeddings": 514}, "tokenizer_config.json": {"model_max_length": 512}}, 512),
        ({"tokenizer_config.json": {"model_max_length": 1000000000000000019884624838656}}, None),
        ({"config.json": {"max_position_embeddings": -1}, "tokenizer_config.json": {"model_max_length": 512}}, 512),
        ({"sentence_roberta_config.json": {"max_seq_length": 75}, "config.json": {"max_position_embeddings": 514}}, 75),
        ({"sentence_bert_config.json": {"max_seq_length": 256, "tokenizer_args": {"model_max_length": 99}}}, 99),
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
    assert found.prompts == declared_prompts({"query": "query: ", "passage": "passage: "}, "query")
    assert [found.prompts.resolve(kind) for kind in (QUERY, DOCUMENT, SYMMETRIC)] == ["query: ", "", "query: "]
    assert (found.prompts.source, found.similarity, found.lower_case) == ("model", "dot", True)


def test_broken_file_is_named(folder):
    """Half a download is not an absent file."""
    with pytest.raises(EngineError, match=r"modules.json can't be read: .*Fetch the model again"):
        read_folder(folder({"modules.json": "[{"}))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": "[]"}, r"config.json holds a list, not a dict\. Fetch the model again"),
        ({"modules.json": [{"idx": 0}]}, r"modules.json lists a module without type and path\. Fetch"),
        (
            {"modules.json": modules("Transformer", "Pooling")},
            r"has the module Pooling, but .*1_Pooling/config.json is missing\. Fetch the model again",
        ),
    ],
)
def test_half_a_folder_is_named(folder, files, said):
    """What is missing or of another form is not taken for a default."""
    with pytest.raises(EngineError, match=said):
        read_folder(folder(files))


def test_several_modules_of_a_kind_and_code_of_a_models_own(folder):
    """Each in its place, with its own files; what is not sentence-transformers' goes by its whole name."""
    listed = [
        *modules("Transformer", "Pooling", "Dense", "Dense"),
        {"path": "", "type": "custom_st.Transformer", "kwargs": ["task"]},
    ]
    files = {
        "1_Pooling/config.json": {"include_prompt": False},
        "2_Dense/config.json": {"out_features": 2},
        "3_Dense/config.json": {"out_features": 3},
    }
    own = {"config_sentence_transformers.json": {"truncate_dim": 64, "similarity_fn_name": "manhattan"}}
    found = read_folder(folder({"modules.json": listed, **files, **own}))
    assert found.modules == ("Transformer", "Pooling", "Dense", "Dense", "custom_st.Transformer")
    assert [module.config.get("out_features") for module in found.chain[2:4]] == [2, 3]
    assert found.chain[4].arguments == ("task",)
    assert (found.include_prompt, found.truncate_dim, found.similarity) == (False, 64, "manhattan")


def test_transformer_in_a_folder_of_its_own(folder):
    """As version 1 of sentence-transformers wrote it: configuration, tokenizer and limit lie there."""
    listed = [{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}]
    files = {
        "0_Transformer/config.json": {"hidden_size": 8},
        "0_Transformer/sentence_bert_config.json": {"max_seq_length": 75},
    }
    found = read_folder(folder({"modules.json": listed, **files}))
    assert (found.transformer.name, found.config["hidden_size"], found.max_length) == ("0_Transformer", 8, 75)


@pytest.mark.parametrize(
    ("place", "files", "kind", "said"),
    [
        ("model", {"config.json": {"architectures": ["BertForSequenceClassification"]}}, "CrossEncoder", True),
        ("model", {"config.json": {"architectures": ["JinaForRanking"]}}, "CrossEncoder", True),
        ("model", {"config.json": {"architectures": ["HF_ColBERT"]}}, "MultiVectorEncoder", True),
        ("Qwen3-Reranker-0.6B", {"config.json": {"architectures": ["Qwen3ForCausalLM"]}}, "CrossEncoder", False),
        ("models--Qwen--Qwen3-Reranker-0.6B/snapshots/6e9e69f", {}, "CrossEncoder", False),
        (
            "model",
            {"README.md": "---\nlicense: mit\npipeline_tag: text-ranking\n---\n# A model"},
            "CrossEncoder",
            False,
        ),
        (
            "model",
            {"README.md": "---\nlicense: mit\n---\nBelow a line:\npipeline_tag: text-ranking"},
            "SentenceTransformer",
            False,
        ),
        ("model", {"config.json": {"architectures": ["BertForMaskedLM"]}}, "SentenceTransformer", False),
        ("splade-v3", {"config.json": {"architectures": ["BertForMaskedLM"]}}, "SparseEncoder", False),
        ("splade-v3", {"config.json": {"architectures": ["BertModel"]}}, "SentenceTransformer", False),
        ("a-reranker", {"modules.json": modules("Transformer")}, "SentenceTransformer", True),
        ("model", {"config_sentence_transformers.json": {"model_type": "SparseEncoder"}}, "SparseEncoder", True),
        ("model", {"config_sentence_transformers.json": {"model_type": "ColBERT"}}, "MultiVectorEncoder", True),
        (
            "model",
            {
                "modules.json": [
                    *modules("Transformer"),
                    {"type": "pylate.models.Dense.Dense", "path": "1_Dense"},
                ],
                "1_Dense/config.json": {},
            },
            "MultiVectorEncoder",
            True,
        ),
    ],
)
def test_kind_of_a_model(folder, place, files, kind, said):
    """What sentence-transformers or PyLate wrote and the class that it was saved from say it; card and name are guesses."""
    path = folder({f"{place}/{name}": content for name, content in files.items()}) / place
    path.mkdir(parents=True, exist_ok=True)
    found = read_folder(path)
    assert (found.kind, found.says_kind) == (kind, said)


def test_pointer_of_git_lfs_is_named(tmp_path):
    """What a clone without Git LFS leaves is not the model; a small file of another kind is itself."""
    pointer, small = tmp_path / "model.onnx", tmp_path / "small"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n")
    small.write_text("{}")
    require_fetched(parse_spec("onnx:model"), small, tmp_path / "not there")
    with pytest.raises(
        EngineError, match=r"model.onnx is a pointer of Git LFS, not the file itself\. Run 'git lfs pull'"
    ):
        require_fetched(parse_spec("onnx:model"), small, pointer)


@pytest.mark.parametrize(
    ("told", "written", "fine"),
    [
        (
            {"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
            {"type": "BertNormalizer", "lowercase": True},
            True,
        ),
        (
            {"do_lower_case": False, "tokenizer_class": "BertTokenizer"},
            {"type": "BertNormalizer", "lowercase": True},
            False,
        ),
        (
            {"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
            {"type": "BertNormalizer", "lowercase": False},
            False,
        ),
        ({"do_lower_case": True, "tokenizer_class": "TokenizersBackend"}, {"type": "BertNormalizer"}, True),
        ({"do_lower_case": True, "tokenizer_class": "T5Tokenizer"}, None, True),
        ({"tokenizer_class": "BertTokenizer"}, {"type": "BertNormalizer", "lowercase": True}, True),
    ],
)
def test_tokenizer_that_contradicts_itself(folder, told, written, fine):
    """Transformers sets a BERT tokenizer up by its configuration: whoever reads tokenizer.json alone has other tokens."""
    path = folder({"tokenizer_config.json": told, "tokenizer.json": {"normalizer": written}}) / "tokenizer.json"
    with (
        contextlib.nullcontext()
        if fine
        else pytest.raises(EngineError, match=r"contradicts itself: do_lower_case=.* Save the tokenizer again")
    ):
        require_one_tokenizer(path, parse_spec("onnx:model"))


def test_tokenizer_that_is_none(folder):
    """A list, or no JSON at all."""
    path = folder({"tokenizer.json": "[]"}) / "tokenizer.json"
    with pytest.raises(EngineError, match=r"The tokenizer of the spec 'onnx:model' can't be read: .*tokenizer.json"):
        require_one_tokenizer(path, parse_spec("onnx:model"))


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


@pytest.mark.parametrize("fetch", [(), ("*.json",)])
def test_folder_in_the_hubs_cache(tmp_path, monkeypatch, fetch):
    """Found by name and branch while the Hub can't be reached, also where files would be fetched from it first."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    place = tmp_path / "models--org--name"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    snapshot = place / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert find_folder("org/name", fetch=fetch) == snapshot
    assert find_folder("org/name", "v2", fetch=fetch) is None


def test_files_are_not_fetched_from_a_hub_that_can_not_be_reached(monkeypatch):
    """The cache alone is looked into: a fetch would retry for minutes."""
    asked = []

    def snapshot_download(*_, local_files_only, **__):
        asked.append(local_files_only)
        raise OSError

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    for reachable in (False, True):
        monkeypatch.setattr(model_folder, "hub_is_reachable", lambda answer=reachable: answer)
        assert find_folder("org/name", fetch=["*.json"]) is None
    assert asked == [True, False, True]
