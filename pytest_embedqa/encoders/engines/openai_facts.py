"""What an OpenAI-compatible server tells of itself, and of what it refuses."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

# Answers by which servers say that a request as a whole is too large; half of it may do.
_TOO_LARGE = ("too many", "batch size", "maximum batch", "max_client_batch", "too large", "max allowed")


def models_of(client: OpenAI) -> dict[str, dict[str, Any]]:
    """What the server lists, by name; nothing where it lists nothing."""
    import openai  # noqa: PLC0415

    try:
        listed = client.with_options(max_retries=0, timeout=30).models.with_raw_response.list().http_response.json()
        return {str(one["id"]): one for one in listed["data"]}
    except (openai.OpenAIError, ValueError, TypeError, KeyError):
        return {}


def identity_of(client: OpenAI, spec: Spec, options: Mapping[str, Any], folder: ModelFolder | None) -> Identity:
    """What the server tells of itself. Its model may change unseen: only the user can vouch for it (``version=``)."""
    told = models_of(client).get(spec.model, {})
    kind = str(told.get("owned_by") or "server")
    libraries = {"openai": version("openai"), **({kind: _version(client)} if kind == "vllm" else {kind: "unknown"})}
    limits = [told.get("max_model_len"), (told.get("meta") or {}).get("n_ctx"), options.get("max_length")]
    known = [int(limit) for limit in limits if limit]
    vouched = {"version": options["version"]} if "version" in options else {"run": uuid.uuid4().hex}
    return Identity(
        model=spec.model,
        engine=spec.engine,
        libraries=libraries,
        dtype="unknown",
        similarity=folder.similarity if folder else "cosine",
        max_length=min(known) if known else folder.max_length if folder else None,
        options={
            **vouched,
            "url": "started here" if "start" in options else str(client.base_url),
            **{key: str(options[key]) for key in ("dimensions", "truncate", "start") if key in options},
        },
    )


def _version(client: OpenAI) -> str:
    page = str(client.base_url).rstrip("/").removesuffix("/v1") + "/version"
    try:
        with urllib.request.urlopen(page, timeout=30) as answer:  # noqa: S310  the user's own server
            return str(json.load(answer)["version"])
    except (OSError, ValueError, TypeError, KeyError):
        return "unknown"


def message_of(error: APIStatusError) -> str:
    """What a refusal says."""
    body = error.body
    text = body.get("message", body) if isinstance(body, Mapping) else body or error.message
    return str(text)[:500]


def is_too_large(error: APIStatusError) -> bool:
    """Whether a request was refused as a whole, so that half of it may do."""
    said = message_of(error).lower()
    return error.status_code == 413 or (error.status_code in {400, 422} and any(sign in said for sign in _TOO_LARGE))  # noqa: PLR2004
