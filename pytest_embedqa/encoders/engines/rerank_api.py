"""``rerank-api:``, rerankers behind an HTTP API: vLLM, TEI, llama.cpp, and APIs shaped like Cohere's and Jina's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engine import Vectors, estimated_lengths
from pytest_embedqa.encoders.engines.http_engine import HTTPEngine
from pytest_embedqa.encoders.engines.openai_facts import information_of
from pytest_embedqa.encoders.engines.rerank_endpoint import APIS, RerankEndpoint, difference, fields_of_raw
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.pairs import join, split
from pytest_embedqa.encoders.plain_pairs import PROBE
from pytest_embedqa.encoders.representations import SCORES, Representation
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from typing_extensions import Self

# Servers of the same model in half precision differ by less.
_MOST_DIFFERENCE = 0.02
_AS_TEXT = "text"


class RerankEngine(HTTPEngine):
    """Engine that scores pairs by a rerank API.

    A request at loading learns the form of requests that the server takes. Scores are the server's own: logits or
    probabilities, as it gives them. They are brought into the order of the request by their ``index``.
    """

    options: ClassVar[Mapping[str, Parser]] = {
        **HTTPEngine.options,
        "api": choice(*APIS),
        "raw": boolean,
        "max_length": positive,
        "truncate": choice(_AS_TEXT),
    }
    # The key of another API is for nobody else.
    key_env: ClassVar[str | None] = None
    base_url_env: ClassVar[str | None] = None
    representation: ClassVar[Representation] = SCORES
    _endpoint: RerankEndpoint

    def _learn(self) -> None:
        client, identity, options, tokenizer = self._client, self.identity, self._options, self._tokenizer
        self.prompts = None  # a cross-encoder's prompts are not applied by sentence-transformers either
        vllm = "vllm" in identity.libraries
        apis = [options["api"]] if "api" in options else [*(["score"] if vllm else []), "rerank", "tei"]
        self._endpoint = RerankEndpoint(
            client, identity.model, count=self._count if tokenizer else None, **self._of_requests
        )
        raw = fields_of_raw(vllm=vllm, api=apis[0]) if options.get("raw") else {}
        self._endpoint.learn(apis, raw)
        if self._endpoint.form.api == "tei":
            identity = information_of(client, identity)
        self._cutter = self._cutting(tokenizer, identity.max_length)
        learned = {
            "api": self._endpoint.form.api,
            "scale": "raw" if raw else "the server's own",
            **({"tokenizer": sha256(tokenizer.to_str().encode()).hexdigest()[:16]} if tokenizer else {}),
        }
        self.identity = replace(
            identity, similarity="score", options={"kind": "reranker", **identity.options, **learned}
        )
        # Requests of one query each are formed here, from pairs in the order in which they come.
        self.limits = replace(self.limits, by_length=not self._endpoint.form.one_query)

    @classmethod
    def _connect(
        cls, url: str | None, spec: Spec, options: Mapping[str, Any], folder: ModelFolder | None, *others: Any
    ) -> Self:
        # Where pairs are not cut here, the server cuts at its own limit, whatever the model's folder says.
        return super()._connect(url, spec, options, folder if "truncate" in options else None, *others)

    def split(self, texts: list[str]) -> list[list[str]]:
        """Split pairs into requests: runs of the same query, where the API takes one query a request."""
        if not self._endpoint.form.one_query:
            return super().split(texts)
        runs = groupby(texts, key=lambda text: split(text)[0])
        return [request for _, run in runs for request in super(RerankEngine, self).split(list(run))]

    def request(self, texts: list[str]) -> Vectors:
        """Return the scores of a request, shape (n,)."""
        return self._endpoint.request([self._cut(text) for text in texts] if self._cutter else texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each pair before any cut; without ``tokenizer=`` estimate them."""
        if self._tokenizer is None:
            return estimated_lengths(texts)
        return [len(one.ids) for one in self._tokenizer.encode_batch(list(map(split, texts)))]

    def differs(self, other: Self) -> str | None:
        """Return in what the other server's scores of the same pairs differ, as the end of a sentence about that server."""
        most = difference(self.embed(PROBE), other.embed(PROBE))
        if most <= _MOST_DIFFERENCE:
            return None
        return f"its scores of the same pairs differ by up to {most:.4f} from the other's"

    def _count(self, texts: list[str]) -> int:
        return sum(self.lengths(texts))

    def _cutting(self, tokenizer: Tokenizer | None, limit: int | None) -> Tokenizer | None:
        """Return a copy of the tokenizer that cuts pairs as sentence-transformers does; ``None`` if none is to be cut."""
        if self._options.get("truncate") != _AS_TEXT:
            if "max_length" in self._options and tokenizer is None:
                raise EngineError(
                    f"max_length= was given for '{self.identity.model}', but nothing cuts its pairs or counts their tokens. "
                    "Name the folder of the model with tokenizer=; with truncate=text pairs are cut here."
                )
            return None
        if tokenizer is None or limit is None:
            raise EngineError(
                f"truncate=text was given for '{self.identity.model}', but its pairs can't be cut here without the tokenizer and the "
                "maximum length of the model: tokenizer=FOLDER, and max_length= where neither server nor folder tells it."
            )
        copy = type(tokenizer).from_str(tokenizer.to_str())
        copy.enable_truncation(limit, strategy="longest_first")
        return copy

    def _cut(self, text: str) -> str:
        """Return a pair whose texts are beginnings of the given texts, short enough together."""
        assert self._cutter  # noqa: S101  only called where pairs are cut
        query, document = split(text)
        while (query or document) and (found := self._cutter.encode(query, document)).overflowing:
            ends = [0, 0]
            for which, (_, end) in zip(found.sequence_ids, found.offsets, strict=True):
                if which is not None:
                    ends[which] = max(ends[which], end)
            # Tokenised again, the end of a text may take more tokens than before: then it loses another character.
            if ends == [len(query), len(document)]:
                ends[ends[1] >= ends[0]] -= 1
            query, document = query[: ends[0]], document[: ends[1]]
        return join(query, document)
