"""Names of encoders, unique among the encoders of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Facts that the name already tells, or that do not decide a vector.
_TOLD = {"spec", "digest", "prompts_from"}


_MOST = 40


def names_of(encoders: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Name each encoder, by spec and digest: by its spec, and by the facts that tell it from others of that spec.

    A project's own fixture ``encoder`` may return several with the same spec: the same model with other prompts, or two
    functions of the same name.

    Args:
        encoders: Facts of encoders, as in ``encoder_facts``.
    """
    by_spec: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in encoders:
        by_spec.setdefault(one["spec"], {})[one["digest"]] = one
    names = {}
    for spec, by_digest in by_spec.items():
        every = list(by_digest.values())
        several = [one for place, one in enumerate(every) if not any(is_same(one, other) for other in every[:place])]
        kinds = [_deciding(one) for one in several]
        differ = [name for name in kinds[0] if any(one.get(name) != kinds[0][name] for one in kinds[1:])]
        told = [", ".join(_shown(one, name) for name in differ) for one in kinds]
        unclear = len(set(told)) < len(told)
        for one in every:
            place = next(place for place, other in enumerate(several) if is_same(one, other))
            detail = ", ".join(filter(None, [told[place], several[place]["digest"][:8] if unclear else ""]))
            names[spec, one["digest"]] = f"{spec} ({detail})" if len(several) > 1 else spec
    return names


def is_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether the facts of two encoders describe the same encoder.

    The digest of a function without a version differs in each process and with each load, and is left out.
    """
    return first["digest"] == second["digest"] or _deciding(first) == _deciding(second)


def _deciding(facts: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: one for name, one in facts.get("options", {}).items() if name != "run"}
    return {**{name: one for name, one in facts.items() if name not in _TOLD}, "options": options}


def names_of_two(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, str]:
    """Return names of two encoders that tell them apart."""
    names = list(names_of([first, second]).values())
    return names[0], names[-1]


def _shown(facts: Mapping[str, Any], key: str) -> str:
    value = facts[key]
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} {one}" for name, one in value.items())
    return f"{key} {str(value or 'none')[:_MOST]}"
