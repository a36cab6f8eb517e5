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
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import UnwelcomeAnswerError, bound, json_of
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.proxies import client_settings, usable_proxies
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from openai import OpenAI

_LISTED = 30
_SECONDS_FOR_FACTS = 30
# What a server tells of itself and can be no name, or no number of tokens, is left out.
_LONGEST, _LARGEST = 80, 10**9
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
    bound(client)
    # What is sent again, and when, is decided where it is known what for.
    return OpenAI(base_url=url, http_client=client, max_retries=0, **settings)


def models_of(client: OpenAI) -> dict[str, dict[str, Any]]:
    """What the server lists, by name; nothing where it lists nothing."""
    import openai  # noqa: PLC0415

    try:
        with waiting(f"the list of models of the server at {client.base_url}"):
            answer = _asked_briefly(client).models.with_raw_response.list().http_response
        return {one["id"]: one for one in json_of(answer)["data"] if isinstance(one["id"], str)}
    except (openai.OpenAIError, UnwelcomeAnswerError, ValueError, TypeError, KeyError):
        return {}


def listed(names: Collection[str]) -> str:
    """The first of these names, and how many there are."""
    return ", ".join(list(names)[:_LISTED]) + (f", … ({len(names)} in all)" if len(names) > _LISTED else "")


def identity_of(client: OpenAI, spec: Spec, options: Mapping[str, Any], folder: ModelFolder | None) -> Identity:
    """What the server tells of itself. Its model may change unseen: only the user can vouch for it (``version=``)."""
    told = models_of(client).get(spec.model, {})
    owner, meta = told.get("owned_by"), told.get("meta")
    kind = owner[:_LONGEST] if isinstance(owner, str) and owner else "server"
    libraries = {"openai": version("openai"), **({kind: _version(client)} if kind == "vllm" else {kind: "unknown"})}
    trained = meta.get("n_ctx") if isinstance(meta, Mapping) else None
    limits = [told.get("max_model_len"), trained, options.get("max_length")]
    known = [limit for limit in limits if type(limit) is int and 0 < limit < _LARGEST]
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
        told: Any = _asked_briefly(client, base_url=root).get("/version", cast_to=object)
        return str(told["version"])[:_LONGEST]
    except (openai.OpenAIError, UnwelcomeAnswerError, ValueError, TypeError, KeyError, RecursionError):
        return "unknown"


def _asked_briefly(client: OpenAI, **settings: Any) -> OpenAI:  # noqa: ANN401  what the client takes
    """The client for questions that a server can answer at once."""
    timeout = client.timeout if isinstance(client.timeout, int | float) else _SECONDS_FOR_FACTS
    return client.with_options(timeout=min(timeout, _SECONDS_FOR_FACTS), **settings)
