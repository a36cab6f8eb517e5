"""Unique names: reports and baselines know a task or probe file by its name alone."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.markers import ENCODER
from pytest_embedqa.plugin.items import parameters_of

_NAMED: pytest.StashKey[dict[str, object]] = pytest.StashKey()


def require_own_name(item: pytest.Item, name: str, thing: object, remedy: str) -> None:
    """Refuse a name that something else in this run already has.

    Args:
        item: The item that uses the name.
        name: The name.
        thing: The thing that has this name; many tests may share it.
        remedy: What to do about a clash, as a sentence.

    Raises:
        SpecError: If another thing already has this name.
    """
    if item.session.stash.setdefault(_NAMED, {}).setdefault(name, thing) != thing:
        raise SpecError(f"Two different things are called '{name}', by which reports and baselines know them. {remedy}")


def path_of(item: pytest.Item) -> str:
    """Return the name of a probe file in reports and baselines: its path below rootdir, the same on every machine."""
    path, root = item.path, item.config.rootpath
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else f"{path.parent.name}/{path.name}"


def name_of_probes(item: pytest.Item) -> str:
    """Return the name by which a baseline knows a probe file together with its pipeline."""
    return path_of(item) + _parameters(item)


def name_of_test(item: pytest.Item) -> str:
    """Return the name by which a baseline knows a test, whatever model it is about."""
    return str(getattr(item, "originalname", None) or item.name) + _parameters(item)


def _parameters(item: pytest.Item) -> str:
    """Return the parameters that make a thing of its own: all but the model and the number of a repetition."""
    parameters = parameters_of(item).items()
    own = [_word_for(value) for key, value in parameters if key != ENCODER and not key.startswith("_")]
    return f"[{'-'.join(own)}]" if own else ""


def _word_for(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else getattr(value, "__name__", type(value).__name__)
