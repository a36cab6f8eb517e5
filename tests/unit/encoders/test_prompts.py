"""Prompts: which one a text gets, in mteb's order of priorities."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.prompts import (
    DOCUMENT,
    NO_PROMPTS,
    QUERY,
    SYMMETRIC,
    Prompts,
    TaskContext,
    TextKind,
    apart,
    declared_prompts,
)

# The most special first, as in mteb's get_prompt_name.
PRIORITIES = ["ArguAna-query", "ArguAna", "Retrieval-query", "Retrieval", "query"]
TASK = TaskContext("ArguAna", "Retrieval", "Find the counterargument")


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
    ("kind", "prefix"), [(QUERY, "query of ArguAna: "), (DOCUMENT, "other: "), (SYMMETRIC, "symmetric of ArguAna: ")]
)
def test_a_choice_goes_before_names(kind, prefix):
    """A function may choose, e.g. fill a template; what it leaves open gets the default prompt and no other."""

    def choose(kind, task):
        return None if kind is DOCUMENT else f"{kind.value} of {task.name}: "

    prefixes = {"query": "never: ", "document": "never: ", "other": "other: "}
    assert Prompts("mteb", prefixes, default="other", choose=choose).resolve(kind, TASK) == prefix


@pytest.mark.parametrize(
    ("placeholder", "prompt", "expected"),
    [
        (True, 'One word for "{text}":', 'One word for "a {b} {text}":'),
        (False, "{text} is: ", "{text} is: a {b} {text}"),
    ],
)
def test_placeholder_stands_around_the_text(placeholder, prompt, expected):
    """A prompt with a place for the text is filled where its source means that; else it goes in front as it is."""
    assert Prompts(placeholder=placeholder).fill(prompt, "a {b} {text}") == expected


def test_a_prompt_without_a_placeholder_goes_in_front():
    """Also from a source that knows placeholders; braces of the text are ordinary."""
    assert Prompts(placeholder=True).fill("q: ", "a {text}") == "q: a {text}"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("q: ", ("query", "q: ", "a\x1fb")), ('One word for "{text}":', ("query", "", 'One word for "a\x1fb":'))],
)
def test_what_is_told_comes_apart_again(prompt, expected):
    """Argument, prompt and text, whatever signs the text has; a prompt around the text is no prompt apart from it."""
    assert apart(Prompts(placeholder=True).tell("query", prompt, "a\x1fb")) == expected


def test_a_text_that_was_told_nothing_stays_whole():
    """As the checks of an engine give it."""
    assert apart("a\x1fb") == ("", "", "a\x1fb")


@pytest.mark.parametrize(
    ("prompts", "task", "expected"),
    [
        (Prompts(), None, {"query": "query", "document": "document", "symmetric": ""}),
        (Prompts(roles=False), None, {"query": "query", "document": "document", "symmetric": ""}),
        (Prompts(roles=False), TASK, dict.fromkeys(["query", "document", "symmetric"], "")),
        (
            Prompts(adapters={"Retrieval-query": "ask", "STS": "pair"}, adapter="other"),
            TASK,
            {"query": "ask", "document": "other", "symmetric": "other"},
        ),
    ],
)
def test_argument_is_the_adapter_or_the_role(prompts, task, expected):
    """A model's adapter has the name that mteb gives it; else the role is told as sentence-transformers tells it."""
    assert {kind.value: prompts.argument(kind, task) for kind in TextKind} == expected


@pytest.mark.parametrize("kind", TextKind)
def test_no_prompts(kind):
    """Without prompts every text stays as it is."""
    assert NO_PROMPTS.resolve(kind, TASK) == ""
    assert NO_PROMPTS.named == {}
    assert NO_PROMPTS.origin == "none"


def test_named_is_all_that_decides():
    """What is shown is what can reach a text, the default prompt as such; empty prompts are not shown."""
    prompts = Prompts(
        "model", {"query": "q: ", "document": "", "web": "w: "}, default="web", fixed={"template:query": "t"}
    )
    assert prompts.named == {"query": "q: ", "default": "w: ", "template:query": "t"}


def test_prompts_under_other_names_are_not_in_force():
    """A name that sentence-transformers never looks for reaches no text, and is said to be declared and not used."""
    prompts = declared_prompts({"query": "q: ", "s2p_query": "s: "}, None)
    assert {kind.value: prompts.resolve(kind, TASK) for kind in TextKind} == {
        "query": "q: ",
        "document": "",
        "symmetric": "",
    }
    assert prompts.named == {"query": "q: "}
    assert prompts.origin == "model; declared and not used: 's2p_query'"


@pytest.mark.parametrize("name", ["passage", "corpus"])
def test_a_declared_passage_is_not_applied(name):
    """sentence-transformers looks for ``document`` first, which it adds: a note says so, and what to do."""
    prompts = declared_prompts({"query": "q: ", name: "p: "}, None)
    assert prompts.resolve(DOCUMENT, TASK) == ""
    assert prompts.origin == (
        f"model; declared and not used: '{name}'; sentence-transformers takes 'document' before '{name}', also where it is empty: "
        "document_prompt= in the spec puts a prompt in front of documents"
    )


def test_default_prompt_goes_to_symmetric_texts():
    """Queries and documents have prompts of their own in sentence-transformers, if empty ones."""
    prompts = declared_prompts({"every": "e: "}, "every")
    assert [prompts.resolve(kind) for kind in (QUERY, DOCUMENT, SYMMETRIC)] == ["", "", "e: "]
    assert prompts.named == {"default": "e: "}


@pytest.mark.parametrize("declared", [{}, {"query": "", "document": None}])
def test_nothing_declared_is_no_source(declared):
    """Empty prompts decide nothing."""
    assert declared_prompts(declared, None) is None
