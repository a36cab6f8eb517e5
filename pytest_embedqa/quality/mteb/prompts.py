"""mteb's own prompts, so that scores reproduce the leaderboard."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import mteb
from mteb.abstasks import AbsTask
from mteb.types import PromptType

from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, Prompts, TaskContext, TextKind

KINDS = {PromptType.query: QUERY, PromptType.document: DOCUMENT, None: SYMMETRIC}


def model_prompts(name: str) -> Prompts | None:
    """The prompts mteb evaluates a model with, or ``None`` if mteb does not know it or uses none of its own."""
    try:
        meta = mteb.get_model_meta(name)
    except (KeyError, ValueError):
        return None
    arguments = meta.loader_kwargs or {}
    template = arguments.get("instruction_template")
    if template is None and meta.loader is not None and not isinstance(meta.loader, type):
        # Loaders that are functions keep their template beside them (Qwen3).
        template = getattr(import_module(meta.loader.__module__), "instruction_template", None)
    if template is not None:
        filled = {kind: _fill(template, prompt_type) for prompt_type, kind in KINDS.items()}
        if not arguments.get("apply_instruction_to_passages", True):
            filled[DOCUMENT] = ""
        return Prompts("mteb", templates=filled, instructions=dict(arguments.get("prompts_dict") or {}))
    prefixes = arguments.get("model_prompts")
    return Prompts("mteb", prefixes=dict(prefixes)) if prefixes else None


def _fill(template: Any, prompt_type: PromptType | None) -> str:  # noqa: ANN401  mteb allows text and callables
    return str(template("{instruction}", prompt_type)) if callable(template) else str(template)


def task_context(task: AbsTask) -> TaskContext:
    """What prompts may depend on."""
    prompt = task.metadata.prompt or getattr(task, "abstask_prompt", "")
    if isinstance(prompt, str):
        instructions = dict.fromkeys(TextKind, prompt)
    else:
        instructions = {kind: prompt[kind.value] for kind in (QUERY, DOCUMENT) if kind.value in prompt}
        instructions[SYMMETRIC] = next(iter(prompt.values()), "")
    return TaskContext(task.metadata.name, task.metadata.type, instructions)
