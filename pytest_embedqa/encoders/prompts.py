"""Prompts and instructions: which text goes in front of a query and of a document, and where that was decided."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class TextKind(str, enum.Enum):
    """The role a text plays. Sentence pairs, bitext and class samples are symmetric: neither side asks."""

    QUERY = "query"
    DOCUMENT = "document"
    SYMMETRIC = "symmetric"


QUERY = TextKind.QUERY
DOCUMENT = TextKind.DOCUMENT
SYMMETRIC = TextKind.SYMMETRIC


@dataclass(frozen=True)
class TaskContext:
    """What a prompt may depend on.

    Attributes:
        name: Name of the task, e.g. ``ArguAna``.
        type: Its type in mteb's words, e.g. ``Retrieval``.
        instructions: The task's instruction by kind of text.
    """

    name: str
    type: str = ""
    instructions: Mapping[TextKind, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompts:
    """Prompts of one model, from one source.

    Two styles exist and both are here, as mteb has them: fixed prefixes looked up by name, and a template
    that is filled with the task's instruction.

    Attributes:
        source: Where they come from: ``spec``, ``mteb``, ``model`` or ``none``.
        prefixes: Prefix by name: ``query``, ``document``, a task, a task type, or ``TASK-query``.
        templates: Template by kind of text, with ``{instruction}`` in it.
        instructions: Instructions by task, task type or kind that go before the task's own.
    """

    source: str = "none"
    prefixes: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[TextKind, str] = field(default_factory=dict)
    instructions: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, kind: TextKind, task: TaskContext | None = None) -> str:
        """The effective prefix of a text of this kind in this task; empty for none."""
        if self.templates:
            template = self.templates.get(kind, "")
            instruction = self._instruction(kind, task)
            return template.replace("{instruction}", instruction) if template and instruction else ""
        for name in _names(kind, task):
            if name in self.prefixes:
                return self.prefixes[name]
        return ""

    def _instruction(self, kind: TextKind, task: TaskContext | None) -> str:
        for name in ([task.name, task.type] if task else []) + [kind.value]:
            if name in self.instructions:
                return self.instructions[name]
        return task.instructions.get(kind, "") if task else ""

    def effective(self, task: TaskContext | None = None) -> dict[str, str]:
        """Effective prefix by kind of text, for the header, the identity and reports."""
        if task is None and self.templates:
            return {kind.value: template for kind, template in self.templates.items() if template}
        return {kind.value: prefix for kind in TextKind if (prefix := self.resolve(kind, task))}


def _names(kind: TextKind, task: TaskContext | None) -> list[str]:
    """Names to look up, the most special first: mteb's order of priorities."""
    composed = [] if kind is SYMMETRIC else [f"-{kind.value}"]
    return [name + suffix for name in ([task.name, task.type] if task else []) for suffix in [*composed, ""]] + [
        kind.value
    ]


NO_PROMPTS = Prompts()
