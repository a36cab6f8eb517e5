"""``openai:``, any server with an OpenAI-compatible ``/v1/embeddings``, and ``ollama:``, the same at Ollama's address."""

from __future__ import annotations

import base64
import importlib.util
import os
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Vectors, estimated_lengths
from pytest_embedqa.encoders.engines.openai_facts import identity_of, is_too_large, message_of, models_of
from pytest_embedqa.encoders.engines.openai_servers import OpenAIServers, UnavailableError
from pytest_embedqa.encoders.model_folder import ModelFolder, read_folder
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, positive

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from tokenizers import Tokenizer

# Request sizes that common servers accept: hosted APIs cap tokens of a request, llama.cpp and TEI texts of a batch.
_REQUEST_TEXTS, _REQUEST_TOKENS, _CONCURRENCY = 32, 32_768, 4
_TIMEOUT_SECONDS, _RETRIES = 120, 5
_NO_KEY = "none"


class OpenAIEngine:
    """Embeds over HTTP with the official client.

    Requests run side by side; a connection that drops, a timeout, 429 and 5xx are tried again with growing pauses, and
    so is an answer that can't be right (count, indexes, dimension, numbers). What does not mend itself is one error.
    """

    options: ClassVar[Mapping[str, Parser]] = {
        "url": str,
        "key_env": str,
        "start": str,
        "start_timeout": positive,
        "concurrency": positive,
        "request_texts": positive,
        "request_tokens": positive,
        "timeout": positive,
        "retries": positive,
        "dimensions": positive,
        "max_length": positive,
        "truncate": boolean,
        "tokenizer": str,
        "version": str,
    }
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
        """Wrap a client; a started server is stopped with it."""
        self._client = client
        self._options = options
        self._server = server
        self._tokenizer = tokenizer
        self._vllm = "vllm" in identity.libraries
        # vLLM cuts by itself; other servers refuse what is too long, so it is cut before it is sent.
        self._cutter = _cutting(tokenizer, identity.max_length) if tokenizer and not self._vllm else None
        self._pool = ThreadPoolExecutor(options.get("concurrency", _CONCURRENCY))
        self.identity = identity
        self.prompts = prompts
        self.counts_tokens = tokenizer is not None
        # Several rounds of requests: at the end of each batch, connections wait for the slowest.
        texts = 4 * options.get("concurrency", _CONCURRENCY) * options.get("request_texts", _REQUEST_TEXTS)
        self.limits = Limits(batch_tokens=texts * 512, batch_size=texts)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> OpenAIEngine | OpenAIServers:
        """Connect to a server, or to several, or start one first (``start=``)."""
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
        folder, tokenizer = _tokenizer(spec, options.get("tokenizer"))
        server = None
        if "start" in options:
            if "url" in options:
                raise EngineError(
                    f"The spec '{spec}' has start= and url=; a server that is started has an address of its own. Leave one out."
                )
            server = Server(shlex.split(options["start"]), timeout=options.get("start_timeout", 600))
        try:
            client = cls._connect(spec, options, server.url if server else None)
            identity = identity_of(client, spec, options, folder)
            engine = cls(
                client,
                identity,
                options,
                server=server,
                tokenizer=tokenizer,
                prompts=folder.prompts if folder else None,
            )
            probe = engine.embed(["A text to learn the dimension from."])
        except BaseException:
            if server:
                server.stop()
            raise
        engine.identity = replace(identity, full_dim=probe.shape[1])
        return engine

    @classmethod
    def _connect(cls, spec: Spec, options: Mapping[str, Any], started: str | None) -> OpenAI:
        from openai import OpenAI  # noqa: PLC0415  a second to import

        url = started or options.get("url") or cls.default_url or os.environ.get("OPENAI_BASE_URL")
        if url and "@" in urlsplit(url).netloc:
            raise EngineError("url= must not hold a password: keys come from the environment, see key_env=.")
        variable = options.get("key_env", "OPENAI_API_KEY")
        key = os.environ.get(variable)
        if not key and (url is None or "key_env" in options):
            raise EngineError(
                f"The spec '{spec}' needs a key in the environment variable {variable}; for a server of your own set url=http://HOST:PORT/v1."
            )
        return OpenAI(
            base_url=url,
            api_key=key or _NO_KEY,
            timeout=options.get("timeout", _TIMEOUT_SECONDS),
            max_retries=options.get("retries", _RETRIES),
        )

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of one batch, shape (n, full_dim): several requests side by side."""
        requests = self.split(list(texts))
        return np.concatenate(list(self._pool.map(self.request, requests)))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cut; without ``tokenizer=`` an estimate."""
        if self._tokenizer is None:
            return estimated_lengths(texts)
        return [len(one.ids) for one in self._tokenizer.encode_batch(list(texts))]

    def close(self) -> None:
        """Close connections, and stop the server if it was started here."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()
        if self._server:
            self._server.stop()

    def split(self, texts: list[str]) -> list[list[str]]:
        """Requests of at most so many texts and tokens."""
        most = self._options.get("request_tokens", _REQUEST_TOKENS)
        requests: list[list[str]] = [[]]
        tokens = 0
        for text in texts:
            (length,) = estimated_lengths([text])
            full = len(requests[-1]) == self._options.get("request_texts", _REQUEST_TEXTS) or tokens + length > most
            if full and requests[-1]:
                requests.append([])
                tokens = 0
            requests[-1].append(text)
            tokens += length
        return requests

    def try_once(self) -> None:
        """From now on a request that fails is tried again by someone else."""
        self._options = {**self._options, "retries": 0}
        self._client = self._client.with_options(max_retries=0)

    def request(self, texts: list[str]) -> Vectors:
        """One request, tried again while its answer can't be right."""
        import openai  # noqa: PLC0415

        problem = ""
        for attempt in range(self._options.get("retries", _RETRIES) + 1):
            if attempt:
                sleep(min(0.25 * 2**attempt, 8))
            try:
                return self._read(self._post(texts), len(texts))
            except openai.APIStatusError as error:
                if len(texts) > 1 and is_too_large(error):
                    half = len(texts) // 2
                    return np.concatenate([self.request(texts[:half]), self.request(texts[half:])])
                raise self._refused(error, texts) from None
            except openai.APIConnectionError as error:
                cause = f": {error.__cause__}" if error.__cause__ else ""
                raise UnavailableError(
                    f"The server at {self._client.base_url} can't be reached, after {self._options.get('retries', _RETRIES)} more attempts ({error}{cause}). "
                    "Is it running, and is url= right? start= in the spec starts one."
                ) from None
            except (ValueError, TypeError, KeyError, AttributeError) as error:  # no JSON, or not what was asked for
                problem = str(error)
        raise UnavailableError(
            f"The server at {self._client.base_url} answered for the model '{self.identity.model}' what can't be right: {problem}. "
            "So it did each time; look at its log."
        )

    def _post(self, texts: list[str]) -> Any:  # noqa: ANN401  whatever came back
        extra: dict[str, Any] = {}
        if self._vllm and self._options.get("truncate", True):
            extra["truncate_prompt_tokens"] = self._options.get("max_length", -1)
        if "dimensions" in self._options:
            extra["dimensions"] = self._options["dimensions"]
        # Exactly the float32 of the server; one that does not know base64 answers with lists.
        response = self._client.embeddings.with_raw_response.create(
            model=self.identity.model,
            input=[one.ids for one in self._cutter.encode_batch(texts)] if self._cutter else texts,
            encoding_format="base64",
            extra_body=extra,
        )
        return response.http_response.json()

    def _read(self, answer: Any, count: int) -> Vectors:  # noqa: ANN401
        """Vectors in the order of the texts.

        Raises:
            ValueError, TypeError, KeyError: If the answer can't be right.
        """
        data = answer["data"]
        if sorted(row["index"] for row in data) != list(range(count)):
            raise ValueError(
                f"{len(data)} vectors with the indexes {[row['index'] for row in data][:5]}… for {count} texts"
            )
        vectors = [_vector(row["embedding"]) for row in sorted(data, key=lambda row: row["index"])]
        widths = {len(vector) for vector in vectors}
        expected = self.identity.full_dim or self._options.get("dimensions")
        if len(widths) > 1 or (expected and widths != {expected}):
            raise ValueError(
                f"vectors of {sorted(widths)} dimensions{f' where {expected} were expected' if expected else ''}"
            )
        stacked = np.stack(vectors)
        if not np.isfinite(stacked).all():
            raise ValueError("NaN or infinity in a vector, as half precision gives when it overflows")
        return stacked

    def _refused(self, error: APIStatusError, texts: list[str]) -> EngineError:
        """The error for an answer that says no."""
        said = f"The server at {self._client.base_url} answered {error.status_code} for the model '{self.identity.model}': {message_of(error)}"
        if error.status_code in {401, 403}:
            return EngineError(
                f"{said}\nIts key is taken from the environment variable {self._options.get('key_env', 'OPENAI_API_KEY')}."
            )
        if error.status_code == 404:  # noqa: PLR2004
            known = ", ".join(models_of(self._client)) or "none that it lists"
            return EngineError(f"{said}\nThe models of this server: {known}.")
        if "out of memory" in message_of(error).lower():
            return OutOfMemoryError(said)
        longest = max(texts, key=len)
        busy_or_broken = error.status_code == 429 or error.status_code >= 500  # noqa: PLR2004
        return (UnavailableError if busy_or_broken else EngineError)(
            f"{said}\nThe request had {len(texts)} texts; the longest has {len(longest):,} characters: {longest!r:.60}. "
            "If it is too long for the server: tokenizer=FOLDER&max_length=N in the spec cuts texts here."
        )


class OllamaEngine(OpenAIEngine):
    """Ollama's own address is the default."""

    default_url = "http://127.0.0.1:11434/v1"


def _vector(embedding: Any) -> Vectors:  # noqa: ANN401
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in embedding):
        raise ValueError("a vector that does not consist of numbers")
    return np.array(embedding, dtype=np.float32)


def _tokenizer(spec: Spec, given: str | None) -> tuple[ModelFolder | None, Tokenizer | None]:
    from tokenizers import Tokenizer  # noqa: PLC0415

    if given is None:
        return None, None
    path = Path(given) / "tokenizer.json" if Path(given).is_dir() else Path(given)
    if not path.is_file():
        raise EngineError(
            f"tokenizer= of the spec '{spec}': {path} does not exist. Name the folder of a model, or its tokenizer.json."
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return read_folder(path.parent), tokenizer


def _cutting(tokenizer: Tokenizer, limit: int | None) -> Tokenizer | None:
    """A copy that cuts texts at ``limit`` tokens and keeps the closing ones."""
    if limit is None:
        return None
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.enable_truncation(limit)
    return copy
