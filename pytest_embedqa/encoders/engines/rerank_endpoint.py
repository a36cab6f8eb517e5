"""The endpoint of a rerank API, in the form in which its server takes requests."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.bounds import expecting
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.openai_answers import Answer, RefusedError, content
from pytest_embedqa.encoders.engines.openai_endpoint import Endpoint, Inputs, WrongAddressError
from pytest_embedqa.encoders.engines.rerank_answers import read_scores
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.plain_pairs import PROBE
from pytest_embedqa.encoders.score_scale import same

if TYPE_CHECKING:
    from openai import OpenAI

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Form:
    """A form of requests.

    Attributes:
        api: Name of the API.
        path: Path of the endpoint.
        body: Makes the fields of a request for pairs, beside the model's name.
        names_model: Whether a request names the model.
        one_query: Whether all pairs of a request share their query.
    """

    api: str
    path: str
    body: Callable[[Pairs], Mapping[str, Any]]
    names_model: bool = True
    one_query: bool = True


def _pairs(pairs: Pairs) -> Mapping[str, Any]:
    return {"text_1": [query for query, _ in pairs], "text_2": [document for _, document in pairs]}


def _documents(pairs: Pairs) -> Mapping[str, Any]:
    return {"query": pairs[0][0], "documents": [document for _, document in pairs]}


def _all_documents(pairs: Pairs) -> Mapping[str, Any]:
    return {**_documents(pairs), "top_n": len(pairs)}


def _texts(pairs: Pairs) -> Mapping[str, Any]:
    # A server that is told nothing may cut silently (--auto-truncate).
    return {"query": pairs[0][0], "texts": [document for _, document in pairs], "truncate": False}


# Names of APIs, and the forms of each, the most wanted first: without top_n a gateway may return a few documents only,
# and some servers refuse the field.
APIS: Mapping[str, tuple[Form, ...]] = {
    "score": (Form("score", "/score", _pairs, one_query=False),),
    "rerank": (Form("rerank", "/rerank", _all_documents), Form("rerank", "/rerank", _documents)),
    "tei": (Form("tei", "/rerank", _texts, names_model=False),),
}


class RerankEndpoint(Endpoint):
    """A rerank API of a server. Texts are pairs, joined by ``pairs.join``.

    Attributes:
        form: The form of requests that the server takes.
    """

    probe: ClassVar[list[str]] = PROBE
    gives: ClassVar[str] = "scores"

    def __init__(
        self, client: OpenAI, model: str, *, count: Callable[[list[str]], int] | None, **others: Any
    ) -> None:  # others as Endpoint's
        """Prepare an endpoint; ``count`` counts the tokens of pairs, by which a silent cut is noticed."""
        super().__init__(client, model, **others)
        self.form = APIS["rerank"][0]
        self._count = count
        self._fields: Mapping[str, Any] = {}

    def learn(self, apis: Sequence[str], raw: Mapping[str, Any]) -> None:
        """Find the form of requests that the server takes.

        Args:
            apis: Names of APIs to try, in this order.
            raw: Fields that ask for scores before their last function; none for the server's own scale.

        Raises:
            EngineError: If the server takes no form, gives different documents the same score, or ignores ``raw``.
        """
        answer = None
        if len(apis) > 1 and not APIS[apis[0]][0].one_query:
            with contextlib.suppress(WrongAddressError):  # a gateway may hand on what lies below /v1 alone
                answer = self._first_answer(self._forms(apis[:1]))
            apis = apis[1:]
        answer = answer or self._first_answer(self._forms(apis))
        if raw:
            answer = self._raw(answer, raw)
        if same(answer.rows):
            raise EngineError(
                f"{self._name} scores {len(self.probe)} different documents alike, {answer.rows[0]:g} for each, an answer to the query among them: "
                f"its model '{self._model}' does not see the pair. A reranker that was trained with a template (Qwen3-Reranker) needs it on the "
                "server (vLLM: --chat-template, with its hf_overrides); else its weights or its head are missing."
            )
        # Servers count tokens in ways of their own; they can be compared where they agree on short texts.
        if not (self._count and answer.tokens == self._count(self.probe)):
            self._count = None
        self._learned = True

    def _raw(self, answer: Answer, fields: Mapping[str, Any]) -> Answer:
        """Return the answer to the probe with further fields, which must change it."""
        self._fields = fields
        try:
            raw = self._ask(self.probe, list, patient=True)
        except RefusedError as refused:
            raise self._error(refused) from None
        if same(raw.rows - answer.rows):
            raise EngineError(
                f"{self._name} gives the same scores with "
                f"{', '.join(fields)} and without: it ignores the field, or its scores are raw already. Leave raw= out of the spec."
            )
        return raw

    def _forms(self, apis: Sequence[str]) -> Iterator[Callable[[], None]]:
        return (partial(setattr, self, "form", form) for api in apis for form in APIS[api])

    def _ask(self, texts: list[str], inputs: Inputs, *, patient: bool) -> Answer:
        answer = super()._ask(texts, inputs, patient=patient)
        if self._learned and self._count and answer.tokens and answer.tokens < (expected := self._count(texts)):
            self._count = None  # once is enough
            longest = max((split(text)[1] for text in texts), key=len)
            warnings.warn(
                shown(
                    f"{self._name} has read {answer.tokens:,} tokens of {len(texts)} pairs that have {expected:,}: it cuts them without a "
                    f"word, and their ends don't count. The longest document begins with {longest!r:.60}."
                ),
                stacklevel=2,
            )
        return answer

    def _post(self, inputs: Sequence[str]) -> Any:  # a response of the client's httpx
        form = self.form
        body = {**({"model": self._model} if form.names_model else {}), **form.body(list(map(split, inputs)))}
        # vLLM has /score beside /v1, not below it.
        path = form.path if form.one_query else str(self._client.base_url).rstrip("/").removesuffix("/v1") + form.path
        raw_response = {"X-Stainless-Raw-Response": "true"}  # the client's own way to hand over a response
        with expecting(sum(map(len, inputs))):  # some servers send the documents back
            answered: Any = self._client.post(
                path, cast_to=object, body={**body, **self._fields}, options={"headers": raw_response}
            )
        return answered.http_response

    def _read(self, response: Any, count: int) -> Answer:  # a response of the client's httpx
        return read_scores(content(response), count)

    def _blame(self, text: str) -> str:
        query, document = split(text)
        if not (query.strip() and document.strip()):
            which = "document" if query.strip() else "query"
            return f"The {which} of a pair is empty or blank, and the server takes none of these; the pair: {query!r:.60} and {document!r:.60}."
        return (
            f"Of the pairs it refuses one: a document of {len(document):,} characters, {document!r:.60}, with the query {query!r:.60}. "
            "If it is too long for the server: tokenizer=FOLDER&truncate=text&max_length=N in the spec cuts pairs here."
        )


def fields_of_raw(*, vllm: bool, api: str) -> dict[str, Any]:
    """Return the field by which a server is asked for scores before their last function."""
    return {"use_activation": False} if vllm and api != "tei" else {"raw_scores": True}


def difference(first: Vectors, second: Vectors) -> float:
    """Return the largest difference of two servers' scores, relative to scores above 1."""
    return float(max(abs(first - second) / abs(first).clip(1)))
