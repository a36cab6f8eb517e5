"""mteb's own prompts, found without loading a model: each entry of its registry gives the texts that mteb's wrapper gives."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import Counter
from types import SimpleNamespace
from typing import ClassVar

import mteb
import numpy as np
import pytest
import sentence_transformers
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.models.get_model_meta import _MODEL_RENAMES
from mteb.types import PromptType

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY, SYMMETRIC, TaskContext, declared_prompts
from pytest_embedqa.quality.evaluator import mteb_prompts
from pytest_embedqa.quality.mteb.prompts import KINDS, model_prompts, task_context
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import sts_task
from pytest_embedqa.quality.task import TaskQuery

# One or two tasks of each type of text tasks: with an instruction for queries, for all texts, and with none of their own.
ASKING = ["ArguAna", "SciFact", "LeCaRDv2", "AskUbuntuDupQuestions", "T2Reranking", "Core17InstructionRetrieval"]
SYMMETRIC_TASKS = [
    "STSBenchmark",
    "Banking77Classification",
    "Tatoeba",
    "SIB200ClusteringS2S",
    "TwitterURLCorpus",
    "TERRa.V2",
    "SummEvalSummarization.v2",
    "SensitiveTopicsClassification",
    "RuSciBenchYearPublRegression",
]
# What a model may declare: prompts of kinds of text, of tasks, of types of tasks, and under names of its own.
DECLARED = {
    "query": "own query: ",
    "passage": "own passage: ",
    "STS": "own pair: ",
    "Retrieval-query": "own search: ",
    "ArguAna": "own argument: ",
    "s2p_query": "never: ",
    "every": "own default: ",
}
# Loaders whose texts are known and whose wrapper can't be made without a model, with what it takes.
NOT_MADE = {
    "RepLLaMAModel": "an adapter by peft",
    "CDEWrapper": "the model's configuration",
    "OpenAIModel": "a key of the API",
    "Model2VecModel": "the model's table",
}


class Recorder:
    """Stands for a SentenceTransformer: chooses prompts as it does, and keeps the texts instead of encoding them."""

    declared: ClassVar[dict[str, str]] = {}
    default: str | None = None
    seen: ClassVar[list[str]] = []

    encode_query = sentence_transformers.SentenceTransformer.encode_query
    encode_document = sentence_transformers.SentenceTransformer.encode_document
    _resolve_prompt = sentence_transformers.SentenceTransformer._resolve_prompt

    def __init__(self, *_: object, **__: object):
        self.prompts = {"query": "", "document": "", **self.declared}
        self.default_prompt_name = self.default
        self.tokenizer = SimpleNamespace()
        config = SimpleNamespace(_attn_implementation="sdpa")
        self.module = SimpleNamespace(auto_model=SimpleNamespace(config=config), tokenizer=self.tokenizer)

    def _first_module(self):
        return self.module

    def set_pooling_include_prompt(self, include_prompt):
        """Of vectors."""

    def get_word_embedding_dimension(self):
        """Asked by BMRetriever's loader."""
        return 4

    def encode(self, inputs, prompt_name=None, prompt=None, task=None, **_: object):
        """Keep the texts, and return vectors of the right shape."""
        text = self._resolve_prompt(prompt, prompt_name) or ""
        self.seen.extend((text + one, task) for one in inputs)
        return np.zeros((len(inputs), 4), np.float32)


class Texts(list):
    """What mteb's wrappers take from a DataLoader."""

    dataset = SimpleNamespace(features={"text": None})


@pytest.fixture(scope="module")
def tasks():
    """The tasks, with the kinds of text that each has."""
    both = [PromptType.query, PromptType.document]
    return [(mteb.get_task(name), both) for name in ASKING] + [
        (mteb.get_task(name), [None]) for name in SYMMETRIC_TASKS
    ]


def quietly(call, *args, **kwargs):
    """What mteb tells of each of 600 models is no news here."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return call(*args, **kwargs)
    finally:
        logging.disable(logging.NOTSET)


def differences(wrapper, prompts, tasks):
    """What mteb's wrapper and the product's prompts give for the same text, and for ``task=`` beside it, where they differ."""
    found = []
    for task, kinds in tasks:
        for prompt_type in kinds:
            Recorder.seen.clear()
            try:
                wrapper.encode(
                    Texts([{"text": ["a {text}"]}]),
                    task_metadata=task.metadata,
                    hf_split="test",
                    hf_subset="default",
                    prompt_type=prompt_type,
                )
                theirs = Recorder.seen[0]
            except (KeyError, TypeError):  # an instruction by kind of text where mteb has no kind
                theirs = "nothing"
            try:
                told = KINDS[prompt_type], task_context(task)
                ours = prompts.fill(prompts.resolve(*told), "a {text}"), prompts.argument(*told) or None
            except EngineError:
                ours = "nothing"
            if ours != theirs:
                found.append((wrapper.mteb_model_meta.name, task.metadata.name, prompt_type, theirs, ours))
    return found


@pytest.mark.parametrize(
    ("declared", "default"),
    [pytest.param({}, None, id="bare"), pytest.param(DECLARED, "every", id="with-own-prompts", marks=pytest.mark.slow)],
)
def test_each_entry_gives_the_texts_of_mteb(tasks, monkeypatch, declared, default):
    """For every text encoder of mteb's registry the texts equal those of mteb's own wrapper, or a note says that they are not known."""
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", Recorder)
    for name in ("Transformer", "Pooling"):
        quietly(monkeypatch.setattr, f"sentence_transformers.models.{name}", Recorder)
    monkeypatch.setattr(Recorder, "declared", declared)
    monkeypatch.setattr(Recorder, "default", default)
    monkeypatch.setattr(mteb.models.ModelMeta, "_check_requirements", lambda _self: None)
    own = declared_prompts(declared, default) or NO_PROMPTS
    compared, noted, differ = Counter(), Counter(), []
    for meta in mteb.get_model_metas():
        if meta.loader is None or "text" not in meta.modalities or "dense" not in meta.model_type:
            continue
        loader = meta.loader.__name__
        prompts = model_prompts(meta.name, own)
        of_api = prompts.source != "mteb" and "mteb also passes" in prompts.note
        if f"({loader})" in prompts.note or of_api or loader in NOT_MADE:
            noted[loader] += 1
            continue
        compared[loader] += 1
        differ += quietly(lambda: differences(meta.load_model(device="cpu"), prompts, tasks))  # noqa: B023  called at once
    assert not differ
    assert compared.total() >= 449, f"{compared} were compared, {noted} not"
    assert set(NOT_MADE) <= set(noted)


@pytest.mark.parametrize("declared", [{}, DECLARED], ids=["bare", "with-own-prompts"])
def test_a_model_that_mteb_does_not_know_gets_its_own_prompts_as_from_mteb(tasks, monkeypatch, declared):
    """mteb finds a model's own prompts by the names of tasks, of their types and of kinds of text, then sentence-transformers by its own."""
    monkeypatch.setattr(Recorder, "declared", declared)
    monkeypatch.setattr(Recorder, "default", "every" if declared else None)
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", Recorder)
    own = declared_prompts(declared, Recorder.default) or NO_PROMPTS
    wrapper = quietly(SentenceTransformerEncoderWrapper, "nobody/knows-this")
    assert quietly(lambda: differences(wrapper, model_prompts("nobody/knows-this", own), tasks)) == []


def test_own_prompts_in_force_are_those_that_mteb_finds():
    """Names of tasks and of types of tasks are in force; others are said to be declared and not used."""
    prompts = model_prompts("nobody/knows-this", declared_prompts(DECLARED, "every"))
    assert set(prompts.named) == {"query", "STS", "Retrieval-query", "ArguAna", "default"}
    assert "declared and not used: 'passage', 's2p_query'" in prompts.origin


def test_mteb_is_asked_for_models_of_an_organisation_alone():
    """Under no other name mteb has prompts, so without one and without prompts of its own a model does not wait for mteb."""
    names = {*_MODEL_RENAMES, *(meta.name for meta in mteb.get_model_metas())}
    others = [name for name in names if "/" not in name]
    assert others == ["bm25s"]  # so there are names to go through
    assert [model_prompts(name) for name in [*others, "mine:encode"]] == [NO_PROMPTS] * 2
    assert mteb_prompts("mine:encode", NO_PROMPTS) == NO_PROMPTS
    own = declared_prompts(DECLARED, None)
    assert mteb_prompts("mine:encode", own).named == model_prompts("mine:encode", own).named != own.named
    assert mteb_prompts("intfloat/multilingual-e5-small", NO_PROMPTS).source == "mteb"


@pytest.mark.parametrize(
    ("model", "argument"),
    [
        ("Cohere/Cohere-embed-english-v3.0", "input_type= (classification, clustering, search_document, search_query)"),
        ("google/gemini-embedding-001", "task_type= (CLASSIFICATION, CLUSTERING, "),
        ("mongodb/voyage-3", "input_type= (document, query)"),
        ("jinaai/jina-embeddings-v4", "task= (retrieval.passage, retrieval.query, text-matching)"),
    ],
)
def test_names_for_an_api_are_no_prompts(tasks, model, argument):
    """What mteb keeps among prompts for an API's argument goes in front of no text; a note says that it is not passed."""
    prompts = model_prompts(model)
    assert {prompts.resolve(kind, task_context(task)) for kind in KINDS.values() for task, _ in tasks} == {""}
    assert f"mteb also passes {argument}" in prompts.note
    assert prompts.note.endswith("which this encoder does not")


def test_loader_of_its_own_is_noted():
    """Where mteb's code for one model can't be followed nobody should take its prompts for mteb's."""
    prompts = model_prompts("nvidia/llama-embed-nemotron-8b")
    assert prompts.origin == (
        "none; mteb runs this model with a loader of its own (LlamaEmbedNemotron), whose texts are not known here"
    )


def test_settings_beside_prompts_are_noted():
    """Maximum length, closing token, pooling without the prompt: what mteb sets for a model is told, as it is not done."""
    note = model_prompts("codefuse-ai/F2LLM-4B").note
    assert (
        note == "mteb also sets max_seq_length=8192, add_eos_token=True; here the spec and the model's own files decide"
    )
    assert "include_prompt=False" in model_prompts("GritLM/GritLM-7B").note
    assert model_prompts("intfloat/multilingual-e5-small").note == ""


def test_a_task_may_be_given_by_its_name():
    """Its type and its instruction are then mteb's."""
    prompts = model_prompts("Qwen/Qwen3-Embedding-4B")
    for name in ("ArguAna", "STSBenchmark"):
        assert prompts.resolve(QUERY, TaskContext(name)) == prompts.resolve(QUERY, task_context(mteb.get_task(name)))
    assert prompts.resolve(QUERY, TaskContext("Mine", "Retrieval", "Find it")) == "Instruct: Find it\nQuery:"


def test_outside_a_task_the_models_own_prompts_hold():
    """A probe has no task with an instruction: sentence-transformers' own ``encode_query`` and ``encode_document`` decide."""
    own = declared_prompts({"query": "Instruct: Given a web search query\nQuery:"}, None)
    prompts = model_prompts("Qwen/Qwen3-Embedding-4B", own)
    assert prompts.resolve(QUERY) == "Instruct: Given a web search query\nQuery:"
    assert prompts.resolve(DOCUMENT) == prompts.resolve(SYMMETRIC) == ""
    assert prompts.named["outside a task, query"] == "Instruct: Given a web search query\nQuery:"
    assert model_prompts("GritLM/GritLM-7B").resolve(DOCUMENT) == "<|embed|>\n"


def test_identity_holds_templates_and_instructions():
    """A template is shown with the place of the instruction; an instruction by kind of text under both."""
    named = model_prompts("sbintuitions/sarashina-embedding-v2-1b").named
    assert named["template:query"] == "task: {instruction}\nquery: "
    assert named["template:document"] == "text: "
    assert all(isinstance(text, str) for text in named.values())
    assert any(name.startswith("instruction:Retrieval-query") for name in named)


def test_no_text_is_an_error():
    """Where mteb's own template fails on a task the error says so, and what to do."""
    prompts = model_prompts("NovaSearch/stella_en_1.5B_v5")
    with pytest.raises(
        EngineError,
        match=r"no prompt of NovaSearch/stella_en_1.5B_v5 for a symmetric text of TERRa.V2, only \{.*Set query_prompt=",
    ):
        prompts.resolve(SYMMETRIC, task_context(mteb.get_task("TERRa.V2")))


def effective(model: str, task: str, kind):
    """What is put in front of a text of this kind."""
    return model_prompts(model).resolve(kind, task_context(find_task(TaskQuery(task))))


def test_qwen3_instructs_queries_only():
    """The instruction of the task goes to queries, in the model's own format; documents get nothing."""
    instruction = find_task(TaskQuery("ArguAna")).metadata.prompt["query"]
    assert effective("Qwen/Qwen3-Embedding-4B", "ArguAna", QUERY) == f"Instruct: {instruction}\nQuery:"
    assert effective("Qwen/Qwen3-Embedding-4B", "ArguAna", DOCUMENT) == ""


def test_qwen3_instructs_both_sides_of_a_pair():
    """Where neither side asks, both get the instruction, as on the leaderboard."""
    assert effective("Qwen/Qwen3-Embedding-4B", "STSBenchmark", SYMMETRIC).startswith("Instruct: ")


@pytest.mark.parametrize(("kind", "prefix"), [(QUERY, "query: "), (DOCUMENT, "passage: ")])
def test_e5_has_prefixes(kind, prefix):
    """A fixed prefix for each kind."""
    assert effective("intfloat/multilingual-e5-small", "ArguAna", kind) == prefix


@pytest.mark.parametrize("model", ["sentence-transformers/all-MiniLM-L6-v2", "nobody/knows-this"])
def test_no_prompts(model):
    """A model that needs none, or that mteb does not know, has none of mteb's."""
    assert model_prompts(model) == NO_PROMPTS


def test_instruction_of_a_task_of_ones_own(tmp_path):
    """Without one given it has that of its type, as mteb's wrappers would find it."""
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"sentence1": "a", "sentence2": "b", "score": 1}\n')
    prompts = model_prompts("Qwen/Qwen3-Embedding-4B")
    for own, instruction in (
        (sts_task(pairs, name="pairs-of-mine"), "Retrieve semantically similar text."),
        (sts_task(pairs, name="pairs-for-someone", instruction="Compare them"), "Compare them"),
    ):
        context = task_context(find_task(TaskQuery(own)))
        assert prompts.resolve(SYMMETRIC, context) == f"Instruct: {instruction}\nQuery:"
