"""``openai:``, any server with an OpenAI-compatible ``/v1/embeddings``, and ``ollama:``, with Ollama's address."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
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
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive

if TYPE_CHECKING:
    from openai import OpenAI
    from tokenizers import Encoding, Tokenizer

# Request sizes that common servers accept: hosted APIs cap tokens of a request, llama.cpp and TEI texts of a batch.
_REQUEST_TEXTS, _REQUEST_TOKENS, _CONCURRENCY = 32, 32_768, 4
_TIMEOUT_SECONDS, _RETRIES = 120, 5
_KEY, _NO_KEY = "OPENAI_API_KEY", "no-key"
# Value of truncate= by which texts are cut as text, and no token ids are sent.
_AS_TEXT = "text"


def _truncation(raw: str) -> bool | str:
    """Parse ``text`` or a truth value."""
    return raw if raw == _AS_TEXT else boolean(raw)


class OpenAIEngine:
    """Engine that embeds over HTTP with the official client.

    Requests run side by side; a connection that drops, 429 and 5xx are tried again with growing pauses, and so is an
    answer that can't be right (count, indexes, dimension, numbers). A server that worked and then took the whole time
    of a request is asked only once more. A problem that persists becomes a single error.
    A few requests at loading reveal all facts that decide vectors, so that they are the same in each process.
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
        "dimensions": positive,
        "max_length": positive,
        "truncate": _truncation,
        "empty": choice("zeros"),
        "tokenizer": str,
        "version": str,
    }
    # A server has names, and no revisions of them: '@' is a part of the name (LM Studio, Cloudflare, Vertex).
    revisions: ClassVar[bool] = False
    default_url: ClassVar[str | None] = None

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
            EngineError: If the server gives no vector, or contradicts ``options``.
        """
        self._client = client
        self._options = options
        self._server = server
        self._tokenizer = tokenizer
        self._truncate = options.get("truncate", True)
        # vLLM cuts by itself; other servers refuse long texts, so these are cut before they are sent.
        asks_to_cut = "vllm" in identity.libraries and self._truncate is True
        cuts_here = tokenizer and self._truncate and not asks_to_cut
        if "max_length" in options and self._truncate and not (asks_to_cut or cuts_here):
            raise EngineError(
                f"max_length= was given for '{identity.model}', but nothing cuts its texts: the server at {client.base_url} takes no limit. "
                "Name the folder of the model with tokenizer=, so that texts are cut here, or leave max_length= out."
            )
        self._cutter = _cutting(tokenizer, identity.max_length) if tokenizer and cuts_here else None
        fields = {"truncate_prompt_tokens": options.get("max_length", -1)} if asks_to_cut else {}
        if "dimensions" in options:
            fields["dimensions"] = options["dimensions"]
        self._endpoint = Endpoint(
            client,
            identity.model,
            retries=options.get("retries", _RETRIES),
            most_texts=options.get("request_texts", _REQUEST_TEXTS),
            key_env=options.get("key_env", _KEY),
            fields=fields,
        )
        probe = self._endpoint.learn()
        self._sends_ids = False
        if tokenizer and self._cutter and self._truncate != _AS_TEXT:
            self._sends_ids = self._endpoint.accepts(partial(_token_ids, tokenizer), probe)
        learned = {
            "encoding": "base64" if self._endpoint.exact else "float",
            "input": "token ids" if self._sends_ids else "text",
            # The tokenizer decides where texts are cut.
            **(
                {"tokenizer": sha256(tokenizer.to_str().encode()).hexdigest()[:16]}
                if self._cutter and tokenizer
                else {}
            ),
        }
        self.identity = replace(identity, full_dim=probe.shape[1], options={**identity.options, **learned})
        self.prompts = prompts
        self.counts_tokens = tokenizer is not None
        self._concurrency = options.get("concurrency", _CONCURRENCY)
        # Several rounds of requests in a batch: at the end of each batch, connections wait for the slowest.
        texts = 4 * options.get("concurrency", _CONCURRENCY) * options.get("request_texts", _REQUEST_TEXTS)
        self.limits = Limits(batch_tokens=texts * 512, batch_size=texts)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> OpenAIEngine | OpenAIServers:
        """Connect to a server or to several servers, or start a server first (``start=``)."""
        urls = options.get("url", "").split(",")
        if len(urls) > 1:
            given = [{**options, "url": url.strip()} for url in urls]
            each, attempts = options.get("concurrency", _CONCURRENCY), options.get("retries", _RETRIES) + 1
            return OpenAIServers.connect(partial(cls._load, spec), given, concurrency=each, attempts=attempts)
        return cls._load(spec, options)

    @classmethod
    def _load(cls, spec: Spec, options: Mapping[str, Any]) -> OpenAIEngine:
        for package in ("openai", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "openai", f"The engine of the spec '{spec}'")
        if not spec.model:
            raise EngineError(
                f"The spec '{spec}' names no model. Write {spec.engine}:MODEL, the name under which the server has it."
            )
        if "start" in options and "url" in options:
            raise EngineError(
                f"The spec '{spec}' has start= and url=; a server that is started has an address of its own. Leave one out."
            )
        url = options.get("url") or cls.default_url or os.environ.get("OPENAI_BASE_URL")
        variable = options.get("key_env", _KEY)
        if not os.environ.get(variable) and ("key_env" in options or not (url or "start" in options)):
            raise EngineError(
                f"The spec '{spec}' needs a key in the environment variable {variable}; for a server of your own set url=http://HOST:PORT/v1."
            )
        require_sendable(variable)
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
    def _connect(  # noqa: PLR0913, PLR0917
        cls,
        url: str | None,
        spec: Spec,
        options: Mapping[str, Any],
        folder: ModelFolder | None,
        tokenizer: Tokenizer | None,
        server: Server | None,
    ) -> OpenAIEngine:
        hide(key := os.environ.get(options.get("key_env", _KEY), ""))
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
        return [len(ids) for ids in _token_ids(self._tokenizer, list(texts))]

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

    def request(self, texts: list[str]) -> Vectors:
        """Return the vectors of a request, shape (n, full_dim)."""
        asked = [text for text in texts if text.strip()] if "empty" in self._options else texts
        if len(asked) == len(texts):
            return self._endpoint.request(texts, self._inputs)
        vectors = np.zeros((len(texts), self.identity.full_dim or 0), np.float32)
        if asked:
            vectors[[bool(text.strip()) for text in texts]] = self._endpoint.request(asked, self._inputs)
        return vectors

    def _inputs(self, texts: list[str]) -> list[str] | list[list[int]]:
        """Return the texts as they are sent, none longer than the model takes.

        Raises:
            EngineError: If a text is too long for a server that takes no token ids.
        """
        if self._cutter is None:
            return texts
        if self._sends_ids:
            return _token_ids(self._cutter, texts)
        cut = self._cutter.encode_batch(texts)
        longest = max(range(len(texts)), key=lambda row: len(cut[row].overflowing))
        if cut[longest].overflowing and self._truncate != _AS_TEXT:
            limit = self.identity.max_length
            raise EngineError(
                f"The server at {self._client.base_url} takes no token ids, so a text can't be cut at exactly {limit} tokens here, and "
                f"{texts[longest]!r:.60} has {self.lengths([texts[longest]])[0]:,}. With truncate=text in the spec it is cut as text; "
                "without tokenizer= the server cuts or refuses it."
            )
        return [self._beginning(text, one) if one.overflowing else text for text, one in zip(texts, cut, strict=True)]

    def _beginning(self, text: str, cut: Encoding) -> str:
        """Return the longest beginning of a text that ends with a whole token and, tokenised alone, is not too long."""
        assert self._cutter  # noqa: S101  only called where texts are cut
        for end in sorted({end for _, end in cut.offsets}, reverse=True):
            if not self._cutter.encode(text[:end]).overflowing:
                return text[:end]
        return ""


class OllamaEngine(OpenAIEngine):
    """Engine of Ollama: ``openai:`` with Ollama's own address as the default."""

    default_url = "http://127.0.0.1:11434/v1"


def _token_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [one.ids for one in tokenizer.encode_batch(texts)]


def _cutting(tokenizer: Tokenizer, limit: int | None) -> Tokenizer | None:
    """Return a copy of the tokenizer that cuts texts at ``limit`` tokens and keeps the closing tokens."""
    if limit is None:
        return None
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.enable_truncation(limit)
    return copy
