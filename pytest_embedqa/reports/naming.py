"""The facts of a test under the names of its encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Facts = Mapping[str, Sequence[dict[str, Any]]]


def renamed(facts: Facts, names: Mapping[tuple[str, str], str]) -> Facts:
    """Return a test's facts with encoders' names in place of their specs.

    A test has a single encoder; only with the fixture ``invariant`` it has several, and reports each after its verdict.
    """
    encoders = facts.get("encoder", ())
    if all(names[one["spec"], one["digest"]] == one["spec"] for one in encoders):
        return facts

    def name(place: int) -> tuple[str, str]:
        one = encoders[min(place, len(encoders) - 1)]
        return one["spec"], names[one["spec"], one["digest"]]

    told: dict[str, list[dict[str, Any]]] = {}
    for kind, every in facts.items():
        key = "spec" if kind == "encoder" else "model"
        told[kind] = [
            {**one, key: new} if one.get(key) == spec else one
            for place, one in enumerate(every)
            for spec, new in [name(place)]
        ]
    return told


def at_length(max_length: int | None, before: str = " ") -> str:
    """Say where texts are cut; empty for several models, which have no one length."""
    return f"{before}at {max_length} tokens" if max_length else ""
