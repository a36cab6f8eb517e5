"""Descriptions of an encoder in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_embedqa.encoders.brackets import COMPOSITES

if TYPE_CHECKING:
    from pytest_embedqa.encoders.system import System

# Libraries in the identity that a reader does not compare first.
_LESSER_LIBRARIES = {"transformers", "tokenizers", "numpy", "openai"}


def identity_line(facts: Mapping[str, Any]) -> str:
    """Describe an identity by the facts that a reader compares first."""
    libraries = ", ".join(
        f"{name} {version}" for name, version in facts["libraries"].items() if name not in _LESSER_LIBRARIES
    )
    options = facts.get("options", {})
    kind = facts.get("kind") or options.get("kind", "dense")
    width = facts["dim"] or facts["full_dim"]
    parts = [
        facts["model"].removeprefix("sentence-transformers/"),
        "" if kind == "dense" else kind,
        *(
            f"{name} {options[name]}"
            for name in ("fusion", "k", "weights", "top_k")
            if kind in COMPOSITES and name in options
        ),
        f"{facts['device']} {facts['dtype']}" if facts["device"] != "unknown" else "",
        f"{width} dimensions" + (f" of {facts['full_dim']}" if facts["dim"] else "")
        if width or kind == "dense"
        else "",
        f"activation {options['activation']}" if "activation" in options else "",
        f"truncate_dim={options['truncate_dim']}" if "truncate_dim" in options else "",
        _limit(facts),
        f"{facts['pooling']} pooling" if facts["pooling"] != "unknown" else "",
        {True: "normalised", False: "not normalised", None: ""}[facts["normalize"]],
        libraries,
        # Facts learned of a server, where they decide how exact vectors are and who splits texts into tokens.
        f"sent as {options['input']}, received as {options['encoding']}" if "encoding" in options else "",
        f"{'file' if kind == 'retriever' else 'weights'} {facts['weights'][:8]}" if facts["weights"] else "",
    ]
    return " · ".join(part for part in parts if part)


def max_lengths(facts: Mapping[str, Any]) -> dict[str, str | int | None]:
    """Return the tokens after which texts are cut, by role."""
    options, whole = facts.get("options", {}), facts["max_length"]
    return {role: options.get(f"{role}_length", whole) for role in ("query", "document")}


def _limit(facts: Mapping[str, Any]) -> str:
    """Describe the tokens after which texts are cut, by role where it matters."""
    of_roles = max_lengths(facts)
    if len(set(of_roles.values())) == 1:
        return f"at most {of_roles['query']} tokens" if of_roles["query"] else ""
    return ", ".join(f"{role}: at most {length} tokens" for role, length in of_roles.items() if length)


def prompts_line(origin: str, prompts: Mapping[str, str]) -> str:
    """Describe the effective prompts, their source, and the notes beside them."""
    if not prompts:
        note = origin.partition("; ")[2]
        return f"none ({note})" if note else "none"
    shown = "; ".join(f"{name.removeprefix('template:')} {text[:60]!r}" for name, text in list(prompts.items())[:4])
    return f"{shown}{' …' if len(prompts) > 4 else ''} (from {origin})"  # noqa: PLR2004


def encoder_facts(encoder: System) -> dict[str, Any]:
    """Return spec and identity of a system, JSON-serialisable, and its kind unless it gives dense vectors."""
    return {
        "spec": str(encoder.spec),
        "digest": encoder.identity.digest,
        "prompts_from": encoder.prompts.origin,
        **({} if encoder.kind == "dense" else {"kind": encoder.kind}),
        **encoder.identity.as_dict(),
    }
