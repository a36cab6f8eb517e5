"""Properties of a test item: its markers, its parameters, its encoder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from pytest_embedqa.decorators import descriptions
from pytest_embedqa.markers import (
    BENCHMARK,
    CAPABILITY,
    COMMON_WORDS,
    ENCODER,
    INDEX,
    MARKERS,
    MODIFIERS,
    RERANKER,
    TASK,
)


def ours(marks: Iterable[pytest.Mark], config: pytest.Config) -> list[pytest.Mark]:
    """Return those of the given markers that this plugin judges, in the same order.

    A marker with the name of one of ours, but registered by the project and without our arguments, belongs to the
    project.
    """
    known = [mark for mark in marks if mark.name in MARKERS or mark.name in MODIFIERS]
    return [
        mark for mark in known if mark.name not in COMMON_WORDS or mark.kwargs or not _is_registered(mark.name, config)
    ]


def _is_registered(name: str, config: pytest.Config) -> bool:
    """Return whether the project, or another plugin, has registered a marker of this name."""
    others = (line for line in config.getini("markers") if line not in descriptions())
    return any(re.split(r"[:(]", line, maxsplit=1)[0].strip() == name for line in others)


def find_mark(item: pytest.Item) -> pytest.Mark | None:
    """Return the marker of this plugin that an item has, if any."""
    return next((mark for mark in own_marks(item) if mark.name in MARKERS), None)


def own_marks(item: pytest.Item) -> list[pytest.Mark]:
    """Return all markers of this plugin that an item has, the closest first."""
    return ours(item.iter_markers(), item.config)


def parameters_of(item: pytest.Item) -> Mapping[str, Any]:
    """Return the parameters of a test, by name."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def encoder_fixtures(node: pytest.Item) -> Sequence[Any]:
    """Return the fixtures named ``encoder`` that a test can see; each overrides the fixture before it."""
    known = getattr(node, "_fixtureinfo", None)  # pytest has no public way to ask
    return known.name2fixturedefs.get(ENCODER, ()) if known else ()


def is_built_in(definition: Any) -> bool:
    """Return whether a fixture is one of this plugin's."""
    return getattr(definition.func, "__module__", "") == f"{__package__}.fixtures"


def own_reranker(node: pytest.Item, *, needed: bool) -> bool:
    """Return whether a project's own fixture ``reranker`` takes the place of this plugin's in a test.

    Args:
        node: The test.
        needed: Whether the test is of a reranker; otherwise the test must name the fixture.
    """
    if not (needed or RERANKER in getattr(node, "fixturenames", ())):
        return False
    found = node.session._fixturemanager.getfixturedefs(RERANKER, node)  # noqa: SLF001  pytest has no public way to ask
    return found is not None and getattr(found[-1].func, "__module__", "") != f"{__package__}.fixtures"


def names_its_system(mark: pytest.Mark) -> bool:
    """Return whether a marker names what it evaluates, so that its test needs no encoder of the command line."""
    return mark.name == TASK and mark.kwargs.get("retriever") is not None


def fixtures_of(mark: pytest.Mark) -> list[str]:
    """Return the names of the fixtures that a marker brings."""
    names = [MARKERS[mark.name].fixture]
    if names_its_system(mark):
        given = mark.kwargs["retriever"]
        return [*names, given] if isinstance(given, str) and given.isidentifier() else names
    if mark.name in {TASK, BENCHMARK}:
        return [*names, ENCODER]
    given = mark.kwargs.get("retriever") if mark.name == INDEX else None
    return [*names, given] if isinstance(given, str) and given.isidentifier() else names


def uses_encoder(node: pytest.Item) -> bool:
    """Return whether a test uses the plugin's fixture ``encoder``, or a fixture of the project's own that extends it.

    A fixture or parameter of another project may have the same name: ours is recognised by where it is defined. A
    marker added after pytest has listed the fixtures of a test brings our fixture with it.
    """
    mark, known = find_mark(node), getattr(node, "_fixtureinfo", None)
    if mark and known and MARKERS[mark.name].fixture not in known.name2fixturedefs and not names_its_system(mark):
        return True
    for definition in reversed(encoder_fixtures(node)):
        if getattr(definition.func, "__module__", "") == f"{__package__}.fixtures":
            return True
        if ENCODER not in definition.argnames:
            return False
    return False


def is_ours(item: pytest.Item) -> bool:
    """Return whether an item is a test of embedding quality, or a user's own test that uses our encoder."""
    return any(name == CAPABILITY for name, _ in item.user_properties)


def has_encoder(item: pytest.Item) -> bool:
    """Return whether a test gets an encoder, of the plugin or of a fixture in its place, or names its own system."""
    mark = find_mark(item)
    named = mark is not None and names_its_system(mark)
    return is_ours(item) and (named or ENCODER in getattr(item, "fixturenames", ()) or uses_encoder(item))


def system_of(item: pytest.Item) -> str:
    """Name what a test evaluates, unless it is the encoder of the command line."""
    mark = find_mark(item)
    if mark is not None and names_its_system(mark):
        return f"retriever {mark.kwargs['retriever']}"
    return str(parameters_of(item).get(ENCODER, ""))
