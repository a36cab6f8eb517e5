"""Encoder specs: a string names an encoder, as a database URL names a database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.secrets import hide, hide_given, is_public, is_secret_name
from pytest_embedqa.encoders.brackets import FORMS, composite_name, in_brackets
from pytest_embedqa.encoders.devices import find_gpus
from pytest_embedqa.encoders.spec_text import ENGINE, PUBLIC, exists, public_pair, public_spec, split
from pytest_embedqa.encoders.values import Parser, amount, boolean, choice, fraction, natural, positive

# Engines of other packages find the parsers of options in this module, too.
__all__ = ["Parser", "amount", "boolean", "choice", "fraction", "natural", "positive", "public_spec"]
GROUP = "pytest_embedqa.engines"
FORM = "ENGINE:MODEL[@REVISION][?key=value&...]"
# Prefix of an engine for replicas of it on a Ray cluster, and the keys for the replicas.
ON_RAY = "ray+"
RAY_KEYS = ("replicas", "cpus", "gpus", "ray_timeout")
# Stands in place of an engine for a user's own object, which no spec can name.
OBJECT = "object"
EXAMPLES = (
    "builtin",
    "sentence-transformers/all-MiniLM-L6-v2",
    "vllm:Qwen/Qwen3-Embedding-4B?dtype=bfloat16&dim=256",
    "openai:MODEL?url=http://127.0.0.1:8000/v1",
    "python:mypackage.encoders:encode",
)
_MOST_CHARACTERS = 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A parsed encoder spec.

    Attributes:
        text: The text that the user wrote; for loading alone, as it may hold secrets.
        engine: Name of the engine.
        model: Model name or path; empty where the engine has a single model.
        revision: Commit or tag, or ``None``.
        options: Raw ``key=value`` pairs; ``read_options`` turns them into values.
        parts: The specs in the brackets of a composite spec, which names several models together.
    """

    text: str
    engine: str
    model: str
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    parts: tuple[Spec, ...] = ()

    def __str__(self) -> str:
        """Return the spec as the user wrote it, without its secrets: for people and files."""
        return self._public

    def __repr__(self) -> str:
        """Return the same text as ``str``, because tracebacks show it."""
        return f"Spec({self._public!r})"

    @cached_property
    def _public(self) -> str:
        return public_spec(self.text)

    @property
    def is_public(self) -> bool:
        """Whether this is the form of a spec in reports and baselines, which lacks what is needed to load it."""
        return any(part.is_public for part in self.parts) or any(
            is_public(value) for key, value in self.options.items() if key in PUBLIC or is_secret_name(key)
        )

    @property
    def models(self) -> tuple[Spec, ...]:
        """The specs of all models that this one loads: itself, or those of its parts."""
        return tuple(model for part in self.parts for model in part.models) if self.is_composite else (self,)

    @property
    def is_composite(self) -> bool:
        """Whether it names BM25, or several models together."""
        return bool(self.parts) or bool(composite_name(self.text))

    def hide_secrets(self) -> None:
        """Hide the secrets of this spec in all texts of this process; needed in a process that was sent the spec."""
        hide_given(self.text)
        for key, value in self.options.items():
            hide_given(value)
            if is_secret_name(key):
                hide(value)

    def with_options(self, **options: str | None) -> Spec:
        """Return this spec with these raw options set, or removed where ``None``; all others are kept."""
        every = {key: value for key, value in {**self.options, **options}.items() if value is not None}
        query = f"?{urlencode(every, errors='surrogatepass')}" if every else ""
        return replace(self, text=split(self.text)[0] + query, options=every)

    def with_parts(self, parts: Sequence[Spec]) -> Spec:
        """Return this composite spec with other specs in its brackets."""
        query = split(self.text)[1]
        text = f"{self.engine}:{''.join(f'[{part.text}]' for part in parts)}" + (f"?{query}" if query else "")
        return replace(self, text=text, parts=tuple(parts))

    def off_ray(self) -> Spec:
        """Return the spec of a replica; a spec without Ray is returned as it is."""
        if not self.engine.startswith(ON_RAY):
            return self
        inner = self.with_options(**dict.fromkeys(RAY_KEYS))
        return replace(inner, text=inner.text.strip().removeprefix(ON_RAY), engine=self.engine.removeprefix(ON_RAY))


@cache
def engines() -> dict[str, EntryPoint]:
    """Return all known engines by name, those of this package and of others."""
    return {point.name: point for point in entry_points(group=GROUP)}


def default_engine() -> str:
    """Return the engine of a bare model name: vLLM where it is installed with a GPU, else sentence-transformers.

    torch is not asked for GPUs: that would start CUDA before vLLM may fork.
    """
    return "vllm" if find_gpus().ids and find_spec("vllm") else "st"


def parse_spec(text: str) -> Spec:
    """Parse a spec string.

    Args:
        text: The spec, e.g. ``st:Qwen/Qwen3-Embedding-4B@main?dtype=half``.

    Raises:
        SpecError: If the text has no model or names an unknown engine; the message shows the accepted form.
    """
    _require_readable(text)
    if (outer := text.strip()).startswith(ON_RAY):
        inner = parse_spec(outer.removeprefix(ON_RAY))
        if inner.is_composite:
            raise SpecError(
                f"The spec '{public_spec(text)}' puts several models on Ray at once. Write {ON_RAY} before each."
            )
        if inner.engine.startswith(ON_RAY):
            raise SpecError(
                f"The spec '{public_spec(text)}' is on Ray twice: a replica can't have replicas. Write '{inner}'."
            )
        return replace(inner, text=text, engine=ON_RAY + inner.engine)
    hide_given(unquote_plus(text))  # before an error can quote it
    if name := composite_name(text):
        return _composite(name, text)
    # The query keeps its white space: a prompt may end with a blank.
    head, query = split(text)
    head = head.strip()
    engine, model = _engine_and_model(head, text)
    if not head or (not model and engine != head):
        raise SpecError(f"The spec '{public_spec(text)}' names no model.\n{usage()}")
    revision = None
    if "@" in model and not exists(model) and _has_revisions(engine):
        model, _, revision = model.rpartition("@")
        if not model or not revision:
            raise SpecError(f"The spec '{public_spec(text)}' has an empty model or revision around '@'.\n{usage()}")
    spec = Spec(text, engine, model, revision, _pairs(query, text))
    spec.hide_secrets()
    return spec


def _composite(name: str, text: str) -> Spec:
    try:
        parts = tuple(parse_spec(_unquoted(part)) for part in in_brackets(text))
    except ValueError as error:
        raise SpecError(f"The spec '{public_spec(text)}' {error}.") from None
    spec = Spec(text, name, "", None, _pairs(split(text)[1], text), parts)
    spec.hide_secrets()
    return spec


def _unquoted(text: str) -> str:
    """Return the spec in a pair of brackets, with the brackets in the name of a model that are written as %5B and %5D."""
    if composite_name(text):
        return text
    head, query = text[: len(split(text)[0])], text[len(split(text)[0]) :]
    for quoted, sign in (("%5B", "["), ("%5D", "]")):
        head = head.replace(quoted, sign).replace(quoted.lower(), sign)
    return head + query


def _require_readable(text: str) -> None:
    """Reject a text that can't be a spec, in a form that is fit to be shown."""
    if len(text) > _MOST_CHARACTERS:
        raise SpecError(
            f"A spec has at most {_MOST_CHARACTERS:,} characters, and this one has {len(text):,}: {public_spec(text)[:40]!r}…"
        )
    # Only the query may have control characters: a prompt may have several lines.
    head = "" if composite_name(text) else split(text)[0].strip()
    for sign in {"\0", *filter(_CONTROL.match, head)} & {*text}:
        raise SpecError(
            f"The spec {public_spec(text)!r} holds the control character U+{ord(sign):04X}, which no name has. Delete it."
        )


def _engine_and_model(head: str, text: str) -> tuple[str, str]:
    known = engines()
    match = ENGINE.fullmatch(head)
    if match and match["engine"] in known:
        return match["engine"], match["rest"]
    if match and not exists(head):
        raise SpecError(
            f"Unknown engine '{match['engine']}' in the spec '{public_spec(text)}'.{nearest(match['engine'], known)}\n{usage()}"
        )
    if head in known:
        return head, ""
    guess = get_close_matches(head, known, n=1, cutoff=0.8)
    if guess and "/" not in head and not exists(head):
        raise SpecError(f"'{head}' is neither an engine nor a folder. Did you mean '{guess[0]}'?\n{usage()}")
    return default_engine(), head


def _has_revisions(engine: str) -> bool:
    """Return whether models of an engine can have a revision; otherwise ``@`` is a part of their names."""
    return bool(getattr(engines()[engine].load(), "revisions", True))


def _pairs(query: str, text: str) -> dict[str, str]:
    if not query:
        return {}
    if wrong := _NO_ENCODING.search(query):
        raise SpecError(
            f"The spec '{public_spec(text)}' has '{wrong[0]}' after '?', which is not a percent-encoding. Write %25 for a percent sign."
        )
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except UnicodeDecodeError:
        raise SpecError(
            f"The spec '{public_spec(text)}' has a percent-encoding after '?' that is not UTF-8. Write é, for example, as %C3%A9."
        ) from None
    except ValueError as error:
        raise SpecError(
            f"The part after '?' in the spec '{public_spec(text)}' is not key=value&key=value: {error}."
        ) from None
    twice = {key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1}
    if twice:
        raise SpecError(
            f"The spec '{public_spec(text)}' sets {', '.join(sorted(twice))} more than once. Write each key once."
        )
    if hidden := next((key for key, value in pairs if "\0" in value), None):
        raise SpecError(f"The spec '{public_spec(text)}' has the control character U+0000 in {hidden}=. Delete %00.")
    return dict(pairs)


def read_options(spec: Spec, parsers: Mapping[str, Parser]) -> dict[str, Any]:
    """Turn the raw options of a spec into values.

    Raises:
        SpecError: If a key is unknown (the message lists the known ones) or a value can't be parsed.
    """
    values: dict[str, Any] = {}
    for key, raw in spec.options.items():
        if key not in parsers:
            known = ", ".join(sorted(parsers))
            raise SpecError(
                f"Unknown key '{key}' in the spec '{spec}'.{nearest(key, parsers)}\nThe engine '{spec.engine}' knows: {known}."
            )
        if not raw.strip() and not key.endswith("_prompt"):
            raise SpecError(f"In the spec '{spec}', {key}= has no value. Give it one, or leave it out.")
        try:
            values[key] = parsers[key](raw)
        except ValueError as error:
            pair = public_pair(f"{key}={raw}")
            raise SpecError(f"In the spec '{spec}', {pair:.60} is wrong: {error}.") from None
    return values


def nearest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return a sentence with the nearest known name, or an empty string."""
    guess = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{guess[0]}'?" if guess else ""


def usage() -> str:
    """Return the accepted form of a spec, for error texts and help."""
    return f"A spec is {FORM}; engines here: {', '.join(sorted(engines()))}. {ON_RAY}ENGINE runs any of them on a Ray cluster; several models together: {FORMS}. For example: {', '.join(EXAMPLES)}."
