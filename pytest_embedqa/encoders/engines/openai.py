"""``openai:``, any server with an OpenAI-compatible ``/v1/embeddings``, and ``ollama:``, with Ollama's address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.measures import same_text_cosine
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.http_engine import HTTPEngine, token_ids
from pytest_embedqa.encoders.engines.openai_embeddings import EmbeddingsEndpoint
from pytest_embedqa.encoders.spec import Parser, boolean, choice, positive

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from typing_extensions import Self

# Servers of the same model on other hardware, or in half precision, differ by less; other models by far more.
_MOST_DIFFERENCE = 1e-3
_PROBE = "The same text for each server."
# Value of truncate= by which texts are cut as text, and no token ids are sent.
_AS_TEXT = "text"


def _truncation(raw: str) -> bool | str:
    """Parse ``text`` or a truth value."""
    return raw if raw == _AS_TEXT else boolean(raw)


class OpenAIEngine(HTTPEngine):
    """Engine that embeds over HTTP with the official client.

    Requests run side by side; a connection that drops, 429 and 5xx are tried again with growing pauses, and so is an
    answer that can't be right (count, indexes, dimension, numbers). A server that worked and then took the whole time
    of a request is asked only once more. A problem that persists becomes a single error.
    A few requests at loading reveal all facts that decide vectors, so that they are the same in each process.
    """

    options: ClassVar[Mapping[str, Parser]] = {
        **HTTPEngine.options,
        "dimensions": positive,
        "max_length": positive,
        "truncate": _truncation,
        "empty": choice("zeros"),
    }

    _endpoint: EmbeddingsEndpoint

    def _learn(self) -> None:
        client, identity, options, tokenizer = self._client, self.identity, self._options, self._tokenizer
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
        self._endpoint = EmbeddingsEndpoint(client, identity.model, fields, **self._of_requests)
        probe = self._endpoint.learn()
        self._sends_ids = False
        if tokenizer and self._cutter and self._truncate != _AS_TEXT:
            self._sends_ids = self._endpoint.accepts(partial(token_ids, tokenizer), probe)
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

    def differs(self, other: Self) -> str | None:
        """Return in what the other server's vector of the same text differs, as the end of a sentence about that server."""
        cosine = float(same_text_cosine(self.embed([_PROBE]), other.embed([_PROBE]))[0])
        if cosine >= 1 - _MOST_DIFFERENCE:
            return None
        return f"its vector of the same text has a cosine of {cosine:.4f} to the other's"

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
            return token_ids(self._cutter, texts)
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


def _cutting(tokenizer: Tokenizer, limit: int | None) -> Tokenizer | None:
    """Return a copy of the tokenizer that cuts texts at ``limit`` tokens and keeps the closing tokens."""
    if limit is None:
        return None
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.enable_truncation(limit)
    return copy
