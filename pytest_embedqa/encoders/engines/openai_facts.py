"""Where an OpenAI-compatible server is, and what it tells of itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.proxies import client_settings, usable_proxies
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from openai import OpenAI

_LISTED = 30
# A part of a path that tells the version of an API: v1, v1beta, v3.
_VERSION_PART = re.compile(r"/v\d")


def addresses(url: str) -> list[str]:
    """Where the API of a base URL may be, the likeliest first: whether ``/v1`` belongs to it, users and servers differ.

    Raises:
        EngineError: If that is no address, or holds a password.
    """
    url = url.strip().rstrip("/").removesuffix("/embeddings").rstrip("/")
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise EngineError(
            f"url={url!r:.80} is no address of a server; it must be http://HOST:PORT/v1 or https://HOST/v1."
        )
    if parts.username is not None or parts.password is not None:
        raise EngineError("url= must not hold a password: keys come from the environment, see key_env=.")
    if _VERSION_PART.search(parts.path) or parts.query:
        return [url]
    return [url, f"{url}/v1"] if parts.path else [f"{url}/v1", url]


def connect(url: str | None, **settings: Any) -> OpenAI:  # noqa: ANN401  what the client takes
    """The official client for an address; without one, for the hosted API.

    Raises:
        EngineError: If a proxy of the environment can't be used.
    """
    from openai import DefaultHttpxClient, OpenAI  # noqa: PLC0415  a second to import

    with usable_proxies():
        client = DefaultHttpxClient(**client_settings(url or ""))
    return OpenAI(base_url=url, http_client=client, **settings)


def models_of(client: OpenAI) -> dict[str, dict[str, Any]]:
    """What the server lists, by name; nothing where it lists nothing."""
    import openai  # noqa: PLC0415

    try:
        listed = client.with_options(max_retries=0, timeout=30).models.with_raw_response.list().http_response.json()
        return {str(one["id"]): one for one in listed["data"]}
    except (openai.OpenAIError, ValueError, TypeError, KeyError):
        return {}


def listed(names: Collection[str]) -> str:
    """The first of these names, and how many there are."""
    return ", ".join(list(names)[:_LISTED]) + (f", … ({len(names)} in all)" if len(names) > _LISTED else "")


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
            **{key: str(options[key]) for key in ("dimensions", "truncate", "start", "empty") if key in options},
        },
    )


def _version(client: OpenAI) -> str:
    import openai  # noqa: PLC0415

    root = str(client.base_url).rstrip("/").removesuffix("/v1")
    try:
        told: Any = client.with_options(base_url=root, max_retries=0, timeout=30).get("/version", cast_to=object)
        return str(told["version"])
    except (openai.OpenAIError, ValueError, TypeError, KeyError):
        return "unknown"
