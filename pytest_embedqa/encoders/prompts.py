"""Prompts and instructions: the text in front of a query or a document, and the source that decided it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace


class TextKind(str, enum.Enum):
    """The role of a text. Sentence pairs, bitext and class samples are symmetric: neither side asks."""

    QUERY = "query"
    DOCUMENT = "document"
    SYMMETRIC = "symmetric"


QUERY = TextKind.QUERY
DOCUMENT = TextKind.DOCUMENT
SYMMETRIC = TextKind.SYMMETRIC


@dataclass(frozen=True)
class TaskContext:
    """The facts of a task that a prompt may depend on.

    Attributes:
        name: Name of the task, e.g. ``ArguAna``.
        type: Type of the task in mteb's words, e.g. ``Retrieval``.
        instruction: The task's instruction for all texts, or instructions by kind of text (``query``, ``document``).
    """

    name: str
    type: str = ""
    instruction: str | Mapping[str, str] = ""


# ASCII's unit separator, between a text and the facts that an engine is told beside it: the store keeps them apart.
_UNIT = "\x1f"

Choose = Callable[[TextKind, TaskContext | None], str | None]

# Prompt names that sentence-transformers tries for a kind of text, in its order (encode_query, encode_document).
KIND_NAMES: Mapping[TextKind, tuple[str, ...]] = {
    QUERY: ("query",),
    DOCUMENT: ("document", "passage", "corpus"),
    SYMMETRIC: (),
}


@dataclass(frozen=True)
class Prompts:
    """The prompts of a model, from one source.

    Attributes:
        source: Source of the prompts: ``spec``, ``mteb``, ``model`` or ``none``.
        prefixes: Prefix by name: ``query``, ``document``, a task, a task type, or ``TASK-query``.
        default: Name of the prefix for texts for which no other name has a prefix.
        choose: Chooses the prompt instead of a name, e.g. by filling a template with the task's instruction; if it
            returns ``None``, the text gets ``default``.
        fixed: Parts that ``choose`` draws from, by name, for the identity.
        placeholder: Whether a prompt with ``{text}`` in it stands around the text.
        adapters: Value of the argument ``task`` of a model that chooses adapters by it, by name as ``prefixes``.
        adapter: Value of that argument where no name fits.
        roles: Whether, without adapters, ``task`` is the role of a text: ``query`` or ``document``.
        unused: Prompts that the model declares and that no text gets, by name.
        note: Anything else that a reader has to know about mteb's or sentence-transformers' treatment of this model.
    """

    source: str = "none"
    prefixes: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    choose: Choose | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    placeholder: bool = False
    adapters: Mapping[str, str] = field(default_factory=dict)
    adapter: str = ""
    roles: bool = True
    unused: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def resolve(self, kind: TextKind, task: TaskContext | None = None) -> str:
        """Return the effective prompt of a text of this kind in this task; empty for none."""
        chosen = self.choose(kind, task) if self.choose else _by_name(self.prefixes, kind, task)
        return self.prefixes.get(self.default, "") if chosen is None else chosen

    def fill(self, prompt: str, text: str) -> str:
        """Return a text with its prompt."""
        return prompt.replace("{text}", text) if self._is_around(prompt) else prompt + text

    def argument(self, kind: TextKind, task: TaskContext | None = None) -> str:
        """Return the argument ``task`` for a model that takes it; empty for none."""
        if self.adapters:
            return _by_name(self.adapters, kind, task) or self.adapter
        # As in sentence-transformers' encode_query and encode_document; some of mteb's wrappers call neither in a task.
        return "" if kind is SYMMETRIC or not (self.roles or task is None) else kind.value

    def tell(self, argument: str, prompt: str, text: str) -> str:
        """Join argument, prompt and text for an engine that wants them apart; :func:`apart` undoes it."""
        return _UNIT.join(
            (argument, "", self.fill(prompt, text)) if self._is_around(prompt) else (argument, prompt, text)
        )

    def _is_around(self, prompt: str) -> bool:
        return self.placeholder and "{text}" in prompt

    def instead_of(self, others: Prompts) -> Prompts:
        """Return these prompts for the model of other prompts, whose adapters and roles stay."""
        return replace(self, adapters=others.adapters, adapter=others.adapter, roles=others.roles)

    def noted(self, note: str) -> Prompts:
        """Return these prompts with a further note."""
        return replace(self, note="; ".join(part for part in (self.note, note) if part))

    @property
    def named(self) -> dict[str, str]:
        """All that decides a prompt, by name; empty prompts left out."""
        of_kinds = {name for names in KIND_NAMES.values() for name in names}
        known = {name: text for name, text in self.prefixes.items() if name != self.default or name in of_kinds}
        adapters = {f"adapter:{name}": value for name, value in {**self.adapters, "default": self.adapter}.items()}
        every = {**known, "default": self.prefixes.get(self.default, ""), **self.fixed, **adapters}
        return {name: text for name, text in every.items() if text}

    @property
    def origin(self) -> str:
        """The source of the prompts, with the notes that a reader has to know beside it."""
        unused = f"declared and not used: {', '.join(map(repr, self.unused))}" if self.unused else ""
        return "; ".join(part for part in (self.source, unused, self.note) if part)


def _by_name(named: Mapping[str, str], kind: TextKind, task: TaskContext | None) -> str | None:
    """Choose a name by mteb's ``get_prompt_name``, the most specific first, then by sentence-transformers' names."""
    composed = [] if kind is SYMMETRIC else [f"-{kind.value}"]
    of_task = [name + suffix for name in ([task.name, task.type] if task else []) for suffix in [*composed, ""]]
    return next((named[name] for name in (*of_task, *KIND_NAMES[kind]) if name in named), None)


def apart(text: str) -> tuple[str, str, str]:
    """Split a text that :meth:`Prompts.tell` has joined into the argument ``task``, the prompt and the text."""
    argument, prompt, rest = text.split(_UNIT, 2) if text.count(_UNIT) > 1 else ("", "", text)
    return argument, prompt, rest


def declared_prompts(prompts: Mapping[str, str | None], default: str | None) -> Prompts | None:
    """Return the prompts of a ``config_sentence_transformers.json`` as sentence-transformers itself applies them.

    sentence-transformers adds an empty ``query`` and ``document``. It looks for ``passage`` and ``corpus`` only after
    ``document``, so they never apply. Another name applies if it is the default; names of tasks and types are mteb's.
    """
    declared = {"query": "", "document": "", **{name: text or "" for name, text in prompts.items()}}
    used = {"query", "document", default}
    unused = {name: text for name, text in declared.items() if text and name not in used}
    prefixes = {name: text for name, text in declared.items() if name in used}
    if not any(prefixes.values()) and not unused:
        return None
    behind = [name for name in KIND_NAMES[DOCUMENT] if name in unused]
    note = (
        f"sentence-transformers takes 'document' before {' and '.join(map(repr, behind))}, also where it is empty: "
        "document_prompt= in the spec puts a prompt in front of documents"
    )
    return Prompts("model", prefixes, default=default or "", unused=unused, note=note if behind else "")


NO_PROMPTS = Prompts()
