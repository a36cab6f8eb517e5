"""One name, one thing: reports and baselines know a task or probe file by its name alone."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.markers import ENCODER
from pytest_embedqa.plugin.items import parameters_of

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


def path_of(item: pytest.Item) -> str:
    """What reports and baselines call a probe file: its path below rootdir, the same on every machine."""
    path, root = item.path, item.config.rootpath
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else f"{path.parent.name}/{path.name}"


def name_of_probes(item: pytest.Item) -> str:
    """By what a baseline knows a probe file with a pipeline."""
    name = path_of(item)
    # A pipeline for each parameter is a thing of its own; but neither the model, nor how often a test is repeated.
    parameters = parameters_of(item).items()
    own = [_word_for(value) for key, value in parameters if key != ENCODER and not key.startswith("_")]
    return f"{name}[{'-'.join(own)}]" if own else name


def _word_for(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else getattr(value, "__name__", type(value).__name__)
