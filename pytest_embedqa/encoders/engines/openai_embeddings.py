"""The ``/embeddings`` of an OpenAI-compatible server."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.measures import same_text_cosine
from pytest_embedqa.encoders.bounds import expecting
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.openai_answers import (
    Answer,
    PageError,
    RefusedError,
    UnreadableVectorError,
    content,
    read,
)
from pytest_embedqa.encoders.engines.openai_endpoint import OF_THE_REQUEST, UNCLEAR, Endpoint, Inputs
from pytest_embedqa.encoders.engines.openai_servers import UnavailableError

if TYPE_CHECKING:
    from openai import OpenAI

# Values of encoding_format to try, in this order; the last leaves it out.
_ENCODINGS = ("base64", "float", None)
# Two answers for the same text agree if their cosine is at least this; misread vectors are far below.
_AGREES = 0.9


class EmbeddingsEndpoint(Endpoint):
    """The ``/embeddings`` of a server.

    Attributes:
        exact: Whether vectors come as float32, not as decimals.
    """

    probe: ClassVar[list[str]] = ["A text to learn the dimension from."]
    gives: ClassVar[str] = "vectors"

    def __init__(self, client: OpenAI, model: str, fields: Mapping[str, Any], **others: Any) -> None:  # as Endpoint's
        """Prepare an endpoint; ``fields`` are further fields of each request."""
        super().__init__(client, model, **others)
        self.exact = True
        self._fields = fields
        self._encoding: str | None = None
        self._dim: int | None = fields.get("dimensions")

    def learn(self) -> Vectors:
        """Find the most exact encoding of vectors that the server takes.

        Returns:
            The vector of the probe, shape (1, d).

        Raises:
            EngineError: If it takes no encoding.
        """
        answer = self._first_answer(partial(self._encode_as, encoding) for encoding in _ENCODINGS)
        if answer.exact:
            # "base64" of another server may be half precision: read as float32 it gives another vector.
            with contextlib.suppress(RefusedError, UnreadableVectorError, PageError, UnavailableError):
                self._encoding = "float"
                decimal = self._ask(self.probe, list, patient=False)
                answer = answer if _agree(answer.rows, decimal.rows) else decimal
            self._encoding = "base64" if answer.exact else "float"
        self.exact = answer.exact
        self._dim = answer.rows.shape[1]
        self._learned = True
        return answer.rows

    def accepts(self, inputs: Inputs, vectors: Vectors) -> bool:
        """Return whether the server takes the probe in another form, and gives it the vector that it has as text.

        Raises:
            EngineError: If the vector differs.
        """
        try:
            found = self._ask(self.probe, inputs, patient=False).rows
        except RefusedError as refused:
            if refused.status not in OF_THE_REQUEST | UNCLEAR:
                raise self._error(refused) from None
            return False
        if not _agree(vectors, found):
            raise EngineError(
                f"{self._name} returns different vectors for a text and for its token ids: tokenizer= is not the tokenizer of its model, "
                "or the server reads the numbers as text. Name the model's own tokenizer, or send only texts with truncate=text."
            )
        return True

    def _encode_as(self, encoding: str | None) -> None:
        self._encoding = encoding

    def _post(self, inputs: Sequence[str] | Sequence[list[int]]) -> Any:  # a response of the client's httpx
        from openai import omit

        # The client has its own default for an encoding that is not given.
        fields = self._fields if self._encoding else {**self._fields, "encoding_format": omit}
        with expecting(len(inputs) * (self._dim or 0)):
            return self._client.embeddings.with_raw_response.create(
                model=self._model, input=inputs, encoding_format=self._encoding or "float", extra_body=fields
            ).http_response

    def _read(self, response: Any, count: int) -> Answer:  # a response of the client's httpx
        return read(content(response), count, self._dim)

    def _blame(self, text: str) -> str:
        if not text.strip():
            return (
                f"The text is {'blank' if text else 'empty'}, and the server takes none of these. empty=zeros in the spec gives it a vector "
                "of zeros without asking, as mteb does for OpenAI's models; with a prompt in front it is another text."
            )
        return (
            f"Of the texts it refuses one, of {len(text):,} characters: {text!r:.60}. "
            "If it is too long for the server: tokenizer=FOLDER&max_length=N in the spec cuts texts here."
        )


def _agree(first: Vectors, second: Vectors) -> bool:
    return first.shape == second.shape and bool(same_text_cosine(first, second)[0] >= _AGREES)
