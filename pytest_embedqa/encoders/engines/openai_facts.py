"""The address of an OpenAI-compatible server, and the facts that the server tells of itself."""

from __future__ import annotations

import os
import re
import shlex
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.secrets import public_command, public_url
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import UnwelcomeAnswerError, bound, json_of
from pytest_embedqa.encoders.model_folder import ModelFolder, read_folder
from pytest_embedqa.encoders.proxies import client_settings, usable_proxies
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from openai import OpenAI
    from tokenizers import Tokenizer

_LISTED = 30
_SECONDS_FOR_FACTS = 30
# Longer names and larger numbers of tokens can't be right, and are left out.
_LONGEST, _LARGEST = 80, 10**9
# A part of a path with the version of an API: v1, v1beta, v3.
_VERSION_PART = re.compile(r"/v\d")
# Endpoints that users name instead of the base URL.
_ENDPOINT = re.compile(r"/(embeddings|rerank|score)?/*$")


def addresses(url: str) -> list[str]:
    """Return the possible addresses of an API for a base URL, the likeliest first.

    Users and servers differ on whether ``/v1`` belongs to a base URL.

    Raises:
        EngineError: If the text is no address, or holds a password.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise EngineError(
            f"url={public_url(url)!r:.80} is not the address of a server; it must be http://HOST:PORT/v1 or https://HOST/v1."
        )
    if parts.username is not None or parts.password is not None:
        raise EngineError("url= must not hold a password: keys come from the environment, see key_env=.")
    path = _ENDPOINT.sub("", parts.path).rstrip("/")
    taken = _VERSION_PART.search(path) or "api-version=" in parts.query
    paths = [path] if taken else [path, f"{path}/v1"] if path else ["/v1", ""]
    return [parts._replace(path=path, fragment="").geturl() for path in paths]


def connect(url: str | None, **settings: Any) -> OpenAI:  # what the client takes
    """Return the official client for an address; without an address, for the hosted API.

    Raises:
        EngineError: If a proxy of the environment can't be used.
    """
    from openai import DefaultHttpxClient, OpenAI  # a second to import

    base, _, query = (url or "").partition("?")
    with usable_proxies():
        # The query belongs to each request. As a part of base_url it would stand before the request's own path.
        client = DefaultHttpxClient(params=query, **client_settings(base))
    bound(client)
    # Retries are decided where the purpose of a request is known.
    return OpenAI(base_url=base or None, http_client=client, max_retries=0, **settings)


def address_of(client: OpenAI) -> str:
    """Return the address that a client was made for, fit to be shown."""
    query = str(client._client.params)  # noqa: SLF001
    return public_url(f"{client.base_url}?{query}" if query else str(client.base_url))


def models_of(client: OpenAI) -> dict[str, dict[str, Any]]:
    """Return the models that the server lists, by name; empty where it lists none."""
    import openai

    try:
        with waiting(f"the list of models of the server at {client.base_url}"):
            answer = _asked_briefly(client).models.with_raw_response.list().http_response
        return {one["id"]: one for one in json_of(answer)["data"] if isinstance(one["id"], str)}
    except (openai.OpenAIError, UnwelcomeAnswerError, ValueError, TypeError, KeyError):
        return {}


def listed(names: Collection[str]) -> str:
    """List the first of these names, and say how many there are."""
    return ", ".join(list(names)[:_LISTED]) + (f", … ({len(names)} in all)" if len(names) > _LISTED else "")


def identity_of(client: OpenAI, spec: Spec, options: Mapping[str, Any], folder: ModelFolder | None) -> Identity:
    """Return the identity of a server's model, by what the server tells.

    Its model may change unseen: only the user can vouch for it (``version=``).
    """
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
            "url": "started here" if "start" in options else address_of(client),
            **({"start": public_command(options["start"])} if "start" in options else {}),
            **{key: str(options[key]) for key in ("dimensions", "truncate", "empty") if key in options},
        },
    )


def _version(client: OpenAI) -> str:
    return str(_told(client, "/version").get("version", "unknown"))[:_LONGEST]


def information_of(client: OpenAI, identity: Identity) -> Identity:
    """Return an identity with what a server of Hugging Face (text-embeddings-inference) tells of itself at ``/info``."""
    told = _told(client, "/info")
    if not told:
        return identity
    limits = [identity.max_length, told.get("max_input_length")]
    known = [limit for limit in limits if type(limit) is int and 0 < limit < _LARGEST]
    dtype = told.get("model_dtype")
    return replace(
        identity,
        libraries={**identity.libraries, "tei": str(told.get("version", "unknown"))[:_LONGEST]},
        dtype=dtype[:_LONGEST] if isinstance(dtype, str) else identity.dtype,
        max_length=min(known) if known else None,
    )


def _told(client: OpenAI, page: str) -> Mapping[str, Any]:
    """Return what a page beside the API says; nothing where there is none."""
    import openai

    root = str(client.base_url).rstrip("/").removesuffix("/v1")
    try:
        told: Any = _asked_briefly(client, base_url=root).get(page, cast_to=object)
    except (openai.OpenAIError, UnwelcomeAnswerError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return told if isinstance(told, Mapping) else {}


def _asked_briefly(client: OpenAI, **settings: Any) -> OpenAI:  # what the client takes
    """Return a client with a short timeout, for questions that a server can answer at once."""
    timeout = client.timeout if isinstance(client.timeout, int | float) else _SECONDS_FOR_FACTS
    return client.with_options(timeout=min(timeout, _SECONDS_FOR_FACTS), **settings)


def command(raw: str) -> str:
    """Parse a command line, whose quotes must close."""
    try:
        shlex.split(raw)
    except ValueError:
        raise ValueError("it is not a command: a quote is never closed, or it ends with a backslash") from None
    return raw


def require_sendable(variable: str) -> None:
    """Reject a key that no request can carry.

    Raises:
        EngineError: If the key can't be sent; the text names its environment variable.
    """
    key = os.environ.get(variable) or ""
    if not (key.isascii() and key.isprintable()):
        raise EngineError(
            f"The key in the environment variable {variable} has a letter with an accent, a line end or another character that an HTTP "
            "header can't hold: it was copied wrongly. Set it again."
        )


def tokenizer_of(spec: Spec, given: str | None) -> tuple[ModelFolder | None, Tokenizer | None]:
    """Load the tokenizer that ``tokenizer=`` names, and read its model folder.

    Raises:
        EngineError: If the tokenizer is missing or damaged.
    """
    from tokenizers import Tokenizer

    if given is None:
        return None, None
    path = Path(given) / "tokenizer.json" if Path(given).is_dir() else Path(given)
    if not path.is_file():
        raise EngineError(
            f"tokenizer= of the spec '{spec}': {path} does not exist. Name the folder of a model, or its tokenizer.json."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  tokenizers raises nothing more specific
        raise EngineError(
            f"tokenizer= of the spec '{spec}': {path} is not a tokenizer, or is damaged ({error}). Fetch it again."
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return read_folder(path.parent), tokenizer
