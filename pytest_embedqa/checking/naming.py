"""One name, one thing: reports and baselines know a task or probe file by its name alone."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError

_NAMED: pytest.StashKey[dict[str, object]] = pytest.StashKey()


def require_own_name(item: pytest.Item, name: str, thing: object, remedy: str) -> None:
    """Refuse a name that something else in this run has.

    Args:
        item: The item that is about it.
        name: The name.
        thing: What is called so; the same thing may be in many tests.
        remedy: What to do, as a sentence.

    Raises:
        SpecError: If another thing is called so.
    """
    if item.session.stash.setdefault(_NAMED, {}).setdefault(name, thing) != thing:
        raise SpecError(f"Two different things are called '{name}', by which reports and baselines know them. {remedy}")
