"""The prompts with which mteb evaluates a model, chosen by mteb's code, so that scores reproduce the leaderboard."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_args

import mteb
from mteb.abstasks import AbsTask
from mteb.abstasks.task_metadata import TaskType
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta
from mteb.types import PromptType

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY, SYMMETRIC, Prompts, TaskContext, TextKind

KINDS = {PromptType.query: QUERY, PromptType.document: DOCUMENT, None: SYMMETRIC}
PROMPT_TYPES = {kind: prompt_type for prompt_type, kind in KINDS.items()}

# mteb's loaders, by their way to the text that they give to the model. By the name of a prompt (model_prompts):
_BY_NAME = {
    "SentenceTransformerEncoderWrapper",
    "SentenceTransformerMultimodalEncoderWrapper",
    "sentence_transformers_loader",
    "voyage_4_nano_loader",
    "BekkoEncoderWrapper",
    "CDEWrapper",
    "NomicWrapper",
    "UAEWrapper",
    "RepLLaMAModel",
}
# Loaders among these that do not tell sentence-transformers the role of a text:
_WITHOUT_ROLES = {"NomicWrapper", "UAEWrapper", "CDEWrapper", "RepLLaMAModel"}
# By filling a template with an instruction:
_BY_INSTRUCTION = {
    "InstructSentenceTransformerModel",
    "BMRetrieverWrapper",
    "GeeVecLiteModel",
    "JasperModel",
    "KALMWrapper",
    "_NVEmbedWrapper",
    "instruct_loader",
    "q3e_instruct_loader",
    "ultrabert_embed_loader",
}
# Without any prompt:
_BARE = {"OpenAIModel", "Model2VecModel"}
# By a prompt, and an adapter of the model beside it:
_ADAPTED = {"JinaWrapper", "JinaV5TextWrapper"}
# By an argument for the API or for the model's adapters, whose names mteb keeps where others keep prompts:
_INPUT_TYPES = {
    "BedrockModel": "input_type",
    "CohereTextEmbeddingModel": "input_type",
    "GeeVecAPIModel": "input_type",
    "GoogleGeminiEmbeddingModel": "task_type",
    "GoogleTextEmbeddingModel": "task_type",
    "JinaV4Wrapper": "task",
    "JinaV5OmniWrapper": "task",
    "VoyageModel": "input_type",
    "cohere_v_loader": "input_type",
}
# Settings in an entry beside prompts. They are noted but not applied: spec and own files decide about an encoder.
_SETTINGS = ("max_seq_length", "add_eos_token", "include_prompt", "padding_side", "embed_dim")
_KALM_BARE = {"STS", "PairClassification", "Summarization"}


def model_prompts(name: str, own: Prompts = NO_PROMPTS) -> Prompts:
    """Return the prompts with which mteb evaluates a model.

    Args:
        name: Public name of the model.
        own: Prompts that the model itself declares, which mteb takes where its entry has none.

    Returns:
        mteb's prompts, with a note on further settings of its entry; the model's own prompts where mteb uses these.

    Raises:
        EngineError: From ``resolve``, if mteb has no text for a kind of text.
    """
    own = _with_names_of_tasks(own)
    try:
        meta = mteb.get_model_meta(name)
    except (KeyError, ValueError):
        meta = None
    found = own
    if meta and meta.loader is not None and "dense" in (meta.model_type or ()):
        arguments = {**(meta.loader_kwargs or {}), **(meta.experiment_kwargs or {})}
        found = _of_entry(meta, arguments, own)
        settings = ", ".join(f"{key}={arguments[key]}" for key in _SETTINGS if key in arguments)
        if settings:
            found = found.noted(f"mteb also sets {settings}; here the spec and the model's own files decide")
    if not found.named:
        return found
    # A task may be given only by its name.
    return replace(found, choose=lambda kind, task: found.resolve(kind, _completed(task)))


def _of_entry(meta: ModelMeta, arguments: Mapping[str, Any], own: Prompts) -> Prompts:
    loader = meta.loader.__name__
    if loader in _BARE:
        return Prompts("mteb")
    if loader in _BY_INSTRUCTION:
        return replace(_instructed(meta, arguments, own), roles=False)
    if loader in _BY_NAME:
        return replace(_named(loader, arguments, own), roles=loader not in _WITHOUT_ROLES)
    if loader in _ADAPTED:
        return _adapted(meta, arguments, own)
    if loader in _INPUT_TYPES:
        values = ", ".join(sorted(set(arguments.get("model_prompts", {}).values()))) or "by kind of text and task"
        return own.noted(f"mteb also passes {_INPUT_TYPES[loader]}= ({values}), which this encoder does not")
    return own.noted(f"mteb runs this model with a loader of its own ({loader}), whose texts are not known here")


def _named(loader: str, arguments: Mapping[str, Any], own: Prompts) -> Prompts:
    """Return prompts by name, else the model's own prompts."""
    named = dict(arguments.get("model_prompts") or {})
    if not named:
        return own
    if loader == "UAEWrapper":
        return Prompts("mteb", choose=Prompts("mteb", named).resolve, fixed=named, placeholder=True)
    return Prompts("mteb", named, default="document" if loader == "NomicWrapper" else own.default)


def _adapted(meta: ModelMeta, arguments: Mapping[str, Any], own: Prompts) -> Prompts:
    """Return adapters by name, with the texts that Jina's wrappers put beside them."""
    adapters = dict(arguments["model_prompts"])
    if meta.loader.__name__ == "JinaV5TextWrapper":
        prefixes = {"query": "Query: ", "document": "Document: "}
        return Prompts("mteb", prefixes, default="document", adapters=adapters, adapter="retrieval")
    texts = {name: meta.loader.jina_task_to_prompt.get(adapter, "") for name, adapter in adapters.items()}
    return Prompts("mteb", texts, default=own.default, adapters=adapters)


def _instructed(meta: ModelMeta, arguments: Mapping[str, Any], own: Prompts) -> Prompts:
    """Return prompts filled with an instruction, by the methods that mteb's wrappers have for that."""
    loader = meta.loader.__name__
    if loader == "q3e_instruct_loader":  # keeps its template in its own code
        template = import_module(meta.loader.__module__).instruction_template
        arguments = {**arguments, "instruction_template": template, "apply_instruction_to_passages": False}
    instructions = arguments.get("prompts_dict") or {}
    chooser = _Chooser(arguments.get("instruction_template"), instructions)
    skips_documents = loader == "JasperModel" or not arguments.get("apply_instruction_to_passages", True)
    bare_types = _KALM_BARE if loader == "KALMWrapper" else ()

    def choose(kind: TextKind, task: TaskContext | None) -> str | None:
        if task is None and own.named:
            return own.resolve(kind)  # mteb has no instruction without a task
        task = task or TaskContext("")
        if (skips_documents and kind is DOCUMENT) or (task.type in bare_types):
            return None
        metadata = SimpleNamespace(name=task.name, type=task.type, prompt=task.instruction)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a task may have an instruction for queries alone
            try:
                chosen = chooser.get_task_instruction(metadata, PROMPT_TYPES[kind])
            except Exception as error:  # noqa: BLE001  each template has its own code
                chosen = error
        if not isinstance(chosen, str):
            raise EngineError(
                f"mteb has no prompt of {meta.name} for a {kind.value} text of {task.name}, only {chosen!r}, and can't evaluate the model there either. "
                "Set query_prompt= and document_prompt= in the spec."
            )
        return chosen

    open_task = TaskContext("", instruction="{instruction}")
    fixed = {f"template:{kind.value}": choose(kind, open_task) or "" for kind in TextKind}
    for key, value in instructions.items():
        parts = {f"-{kind}": text for kind, text in value.items()} if isinstance(value, Mapping) else {"": value}
        fixed |= {f"instruction:{key}{suffix}": text for suffix, text in parts.items()}
    fixed |= {f"outside a task, {kind.value}": own.resolve(kind) for kind in (QUERY, DOCUMENT)}
    prefixes = {own.default: own.prefixes[own.default]} if own.prefixes.get(own.default) else {}
    return Prompts("mteb", prefixes, default=own.default, choose=choose, fixed=fixed)


class _Chooser(AbsEncoder):  # type: ignore[misc]  # mteb ships no types that mypy can follow
    """mteb's choice of an instruction, without a model."""

    def __init__(self, template: Any, instructions: Mapping[str, Any]) -> None:  # mteb allows text and callables
        self.instruction_template = template
        self.prompts_dict = instructions

    def encode(self, *_: Any, **__: Any) -> Any:  # abstract in mteb
        raise NotImplementedError

    def get_instruction(self, task_metadata: Any, prompt_type: PromptType | None) -> Any:
        """Return mteb's instruction; without a task, the entry's instruction for this kind of text."""
        if task_metadata.name:
            return super().get_instruction(task_metadata, prompt_type)
        return (self.prompts_dict.get(prompt_type.value) if prompt_type else None) or task_metadata.prompt


def _completed(task: TaskContext | None) -> TaskContext | None:
    """Complete the context of a task that was given only by its name."""
    if task is None or task.type or task.instruction:
        return task
    try:
        return task_context(mteb.get_task(task.name))
    except KeyError:
        return task


def _with_names_of_tasks(own: Prompts) -> Prompts:
    """Add the declared prompts that mteb finds by the name of a task or of a type of task."""
    found = {name: text for name, text in own.unused.items() if _is_of_tasks(name)}
    unused = {name: text for name, text in own.unused.items() if name not in found}
    return replace(own, prefixes={**own.prefixes, **found}, unused=unused)


def _is_of_tasks(name: str) -> bool:
    for kind in (QUERY, DOCUMENT):
        name = name.removesuffix(f"-{kind.value}")
    if name in get_args(TaskType):
        return True
    try:
        return bool(mteb.get_task(name))
    except KeyError:
        return False


def task_context(task: AbsTask) -> TaskContext:
    """Return the facts of a task that prompts may depend on."""
    return TaskContext(task.metadata.name, task.metadata.type, task.metadata.prompt or "")
