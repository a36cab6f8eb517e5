"""Engines on servers, over HTTP with the official client of OpenAI, which most servers are made for."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.secrets import hide
from pytest_embedqa.encoders.engine import Limits, Vectors, estimated_lengths
from pytest_embedqa.encoders.engines.openai_endpoint import Endpoint, WrongAddressError
from pytest_embedqa.encoders.engines.openai_facts import (
    addresses,
    command,
    connect,
    identity_of,
    require_sendable,
    tokenizer_of,
)
from pytest_embedqa.encoders.engines.openai_servers import OpenAIServers
from pytest_embedqa.encoders.engines.openai_threads import side_by_side
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import Parser, Spec, positive

if TYPE_CHECKING:
    from openai import OpenAI
    from tokenizers import Tokenizer
    from typing_extensions import Self

# Request sizes that common servers accept: hosted APIs cap tokens of a request, llama.cpp and TEI texts of a batch.
_REQUEST_TEXTS, _REQUEST_TOKENS, _CONCURRENCY = 32, 32_768, 4
_TIMEOUT_SECONDS, _RETRIES = 120, 5
_NO_KEY = "no-key"


class HTTPEngine:
    """Engine on a server; a subclass has the requests of an API.

    Attributes:
        default_url: Address where the spec has none.
        key_env: Environment variable of a key that is sent without being asked for; ``None``: only a named key is sent.
        base_url_env: Environment variable of an address where the spec has none.
    """

    options: ClassVar[Mapping[str, Parser]] = {
        "url": str,
        "key_env": str,
        "start": command,
        "start_timeout": positive,
        "concurrency": positive,
        "request_texts": positive,
        "request_tokens": positive,
        "timeout": positive,
        "retries": positive,
        "tokenizer": str,
        "version": str,
    }
    # A server has names, and no revisions of them: '@' is a part of the name (LM Studio, Cloudflare, Vertex).
    revisions: ClassVar[bool] = False
    default_url: ClassVar[str | None] = None
    key_env: ClassVar[str | None] = "OPENAI_API_KEY"
    base_url_env: ClassVar[str | None] = "OPENAI_BASE_URL"
    _endpoint: Endpoint

    def __init__(  # noqa: PLR0913  the parts of the engine
        self,
        client: OpenAI,
        identity: Identity,
        options: Mapping[str, Any],
        *,
        server: Server | None = None,
        tokenizer: Tokenizer | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        """Wrap a client, and learn how to ask its server; a server started for the engine is stopped with it.

        Raises:
            EngineError: If the server does not give what the API is for, or contradicts ``options``.
        """
        self._client = client
        self._options = options
        self._server = server
        self._tokenizer = tokenizer
        self.identity = identity
        self.prompts = prompts
        self.counts_tokens = tokenizer is not None
        self._concurrency = options.get("concurrency", _CONCURRENCY)
        # Several rounds of requests in a batch: at the end of each batch, connections wait for the slowest.
        texts = 4 * self._concurrency * options.get("request_texts", _REQUEST_TEXTS)
        self.limits = Limits(batch_tokens=texts * 512, batch_size=texts)
        self._of_requests = {
            "retries": options.get("retries", _RETRIES),
            "most_texts": options.get("request_texts", _REQUEST_TEXTS),
            "key_env": options.get("key_env", self.key_env),
        }
        self._learn()

    def _learn(self) -> None:
        """Ask the server a few questions, and complete identity and limits by its answers."""
        raise NotImplementedError

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> Self | OpenAIServers:
        """Connect to a server or to several servers, or start a server first (``start=``)."""
        urls = options.get("url", "").split(",")
        if len(urls) > 1:
            given = [{**options, "url": url.strip()} for url in urls]
            each, attempts = options.get("concurrency", _CONCURRENCY), options.get("retries", _RETRIES) + 1
            return OpenAIServers.connect(partial(cls._load, spec), given, concurrency=each, attempts=attempts)
        return cls._load(spec, options)

    @classmethod
    def _load(cls, spec: Spec, options: Mapping[str, Any]) -> Self:
        for package in ("openai", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "openai", f"The engine of the spec '{spec}'")
        if not spec.model:
            raise EngineError(
                f"The spec '{spec}' names no model. Write {spec.engine}:MODEL, the name under which the server has it."
            )
        url = cls._address(spec, options)
        folder, tokenizer = tokenizer_of(spec, options.get("tokenizer"))
        with contextlib.ExitStack() as started:
            server = None
            if "start" in options:
                server = Server(shlex.split(options["start"]), timeout=options.get("start_timeout", 600))
                started.callback(server.stop)
                url = server.root
            wrong: list[WrongAddressError] = []
            for address in addresses(url) if url else [None]:
                try:
                    engine = cls._connect(address, spec, options, folder, tokenizer, server)
                except WrongAddressError as error:  # noqa: PERF203  two addresses at most
                    wrong.append(error)
                else:
                    started.pop_all()
                    return engine
            raise next((error for error in wrong if error.models), wrong[0])

    @classmethod
    def _address(cls, spec: Spec, options: Mapping[str, Any]) -> str | None:
        """Return the address of the server, after a look at the key for it; ``None`` for one that is started, or the hosted API."""
        if "start" in options and "url" in options:
            raise EngineError(
                f"The spec '{spec}' has start= and url=; a server that is started has an address of its own. Leave one out."
            )
        url = options.get("url") or cls.default_url or os.environ.get(cls.base_url_env or "")
        variable = options.get("key_env", cls.key_env)
        if not variable and not (url or "start" in options):
            raise EngineError(
                f"The spec '{spec}' has no url=, the address of its server: url=http://HOST:PORT, or https://HOST/v1 of a hosted API with key_env=VARIABLE."
            )
        if variable and not os.environ.get(variable) and ("key_env" in options or not (url or "start" in options)):
            raise EngineError(
                f"The spec '{spec}' needs a key in the environment variable {variable}; for a server of your own set url=http://HOST:PORT/v1."
            )
        require_sendable(variable or "")
        return url

    @classmethod
    def _connect(  # noqa: PLR0913, PLR0917
        cls,
        url: str | None,
        spec: Spec,
        options: Mapping[str, Any],
        folder: ModelFolder | None,
        tokenizer: Tokenizer | None,
        server: Server | None,
    ) -> Self:
        hide(key := os.environ.get(options.get("key_env") or cls.key_env or "", ""))
        client = connect(
            url,
            api_key=key or _NO_KEY,
            timeout=options.get("timeout", _TIMEOUT_SECONDS),
        )
        try:
            identity = identity_of(client, spec, options, folder)
            prompts = folder.prompts if folder else None
            return cls(client, identity, options, server=server, tokenizer=tokenizer, prompts=prompts)
        except BaseException:
            client.close()
            raise

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim): several requests side by side."""
        requests = self.split(list(texts))
        return np.concatenate(side_by_side(self.request, requests, self._concurrency))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut; without ``tokenizer=`` estimate them."""
        if self._tokenizer is None:
            return estimated_lengths(texts)
        return [len(ids) for ids in token_ids(self._tokenizer, list(texts))]

    def close(self) -> None:
        """Close connections, and stop the server if it was started for this engine."""
        self._client.close()
        if self._server:
            self._server.stop()

    def split(self, texts: list[str]) -> list[list[str]]:
        """Split texts into requests, within the limits on texts and tokens of a request."""
        most = self._options.get("request_tokens", _REQUEST_TOKENS)
        requests: list[list[str]] = [[]]
        tokens = 0
        for text in texts:
            (length,) = estimated_lengths([text])
            full = len(requests[-1]) >= self._endpoint.most_texts or tokens + length > most
            if full and requests[-1]:
                requests.append([])
                tokens = 0
            requests[-1].append(text)
            tokens += length
        return requests

    def try_once(self) -> None:
        """Leave further attempts of a failed request to the caller from now on."""
        self._endpoint.try_once()

    def differs(self, other: Self) -> str | None:
        """Return in what the other server's answer to the same text differs, as the end of a sentence about that server."""
        raise NotImplementedError

    def request(self, texts: list[str]) -> Vectors:
        """Return what the server gives for the texts of a request."""
        return self._endpoint.request(texts)


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the token ids of each text."""
    return [one.ids for one in tokenizer.encode_batch(texts)]
