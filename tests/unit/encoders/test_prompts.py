"""Prompts: which one a text gets, in mteb's order of priorities."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY, SYMMETRIC, Prompts, TaskContext, TextKind

# The most special first, as in mteb's get_prompt_name.
PRIORITIES = ["ArguAna-query", "ArguAna", "Retrieval-query", "Retrieval", "query"]
# mteb gives most tasks one instruction for all kinds of text.
TASK = TaskContext("ArguAna", "Retrieval", dict.fromkeys(TextKind, "Find the counterargument"))
QWEN3 = "Instruct: {instruction}\nQuery:"
INSTRUCTED = Prompts("mteb", templates={QUERY: QWEN3, SYMMETRIC: QWEN3, DOCUMENT: ""})


@pytest.mark.parametrize("position", range(len(PRIORITIES)))
def test_most_special_name_wins(position):
    """Of several matching names the first in mteb's order decides."""
    prompts = Prompts("mteb", {name: f"{name}: " for name in reversed(PRIORITIES[position:])})
    assert prompts.resolve(QUERY, TASK) == f"{PRIORITIES[position]}: "


@pytest.mark.parametrize("name", ["ArguAna-document", "Retrieval-document", "document", "STS12", "STS", "STS12-query"])
def test_names_of_others_do_not_apply(name):
    """A query gets no prompt that is for documents or for another task."""
    assert Prompts("mteb", {name: "wrong: "}).resolve(QUERY, TASK) == ""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["query", "document"], ""),
        (["ArguAna-query", "Retrieval-document"], ""),
        (["Retrieval", "query"], "Retrieval"),
        (["Retrieval", "ArguAna"], "ArguAna"),
    ],
)
def test_symmetric_text_gets_only_prompts_of_its_task(names, expected):
    """A sentence of a pair is neither a query nor a document."""
    assert Prompts("mteb", {name: name for name in names}).resolve(SYMMETRIC, TASK) == expected


@pytest.mark.parametrize(("kind", "prefix"), [(QUERY, "q: "), (DOCUMENT, "d: "), (SYMMETRIC, "")])
def test_without_a_task_the_kind_decides(kind, prefix):
    """Without a task there are the prompts for queries and for documents."""
    assert Prompts("model", {"query": "q: ", "document": "d: ", "ArguAna": "a: "}).resolve(kind) == prefix


def test_empty_prefix_of_a_special_name_hides_the_general_one():
    """An empty prompt for a task is a decision, not a gap."""
    assert Prompts("mteb", {"ArguAna-query": "", "query": "q: "}).resolve(QUERY, TASK) == ""


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (QUERY, "Instruct: Find the counterargument\nQuery:"),
        (SYMMETRIC, "Instruct: Find the counterargument\nQuery:"),
        (DOCUMENT, ""),
    ],
)
def test_template_is_filled_with_the_instruction_of_the_task(kind, prefix):
    """In Qwen3's way the instruction goes to queries and symmetric texts, and never to documents."""
    assert INSTRUCTED.resolve(kind, TASK) == prefix


@pytest.mark.parametrize("task", [None, TaskContext("Mine", "STS")])
def test_template_without_an_instruction_is_no_prompt(task):
    """No half-filled template reaches a model."""
    assert INSTRUCTED.resolve(QUERY, task) == ""


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["ArguAna", "Retrieval", "query"], "ArguAna"), (["Retrieval", "query"], "Retrieval"), (["query"], "query")],
)
def test_instruction_of_the_model_goes_before_that_of_the_task(names, expected):
    """A model may bring instructions by task, by type or by kind, in this order; the task's own comes last."""
    prompts = Prompts("mteb", templates={QUERY: "{instruction}"}, instructions={name: name for name in reversed(names)})
    assert prompts.resolve(QUERY, TASK) == expected


def test_braces_in_an_instruction_are_ordinary_text():
    """Filling a template interprets nothing in the instruction."""
    task = TaskContext("Code", "Retrieval", {QUERY: "Explain {x} and {instruction!r}"})
    assert (
        Prompts("mteb", templates={QUERY: "I: {instruction}|"}).resolve(QUERY, task)
        == "I: Explain {x} and {instruction!r}|"
    )


@pytest.mark.parametrize("kind", TextKind)
def test_no_prompts(kind):
    """Without prompts every text stays as it is."""
    assert NO_PROMPTS.resolve(kind, TASK) == ""
    assert NO_PROMPTS.effective(TASK) == {}
    assert NO_PROMPTS.source == "none"


def test_effective_prompts_of_a_task():
    """What is shown is exactly what each kind of text gets, without the kinds that get nothing."""
    prompts = Prompts("model", {"query": "q: ", "Retrieval-document": "p: "})
    assert prompts.effective(TASK) == {"query": "q: ", "document": "p: "}
    assert prompts.effective() == {"query": "q: "}


def test_effective_prompts_without_a_task_show_the_template():
    """The header, which knows no task, shows templates with the place of the instruction."""
    assert INSTRUCTED.effective() == {"query": QWEN3, "symmetric": QWEN3}
    assert INSTRUCTED.effective(TASK)["query"] == "Instruct: Find the counterargument\nQuery:"
