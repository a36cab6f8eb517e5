"""The endpoint of a single OpenAI-compatible server, whose answers show which requests it can take."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError
from pytest_embedqa.core.measures import same_text_cosine
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import UnwelcomeAnswerError, expecting
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.openai_answers import (
    EmbeddingsAnswer,
    PageError,
    RefusedError,
    UnreadableVectorError,
    content,
    read,
    refusal,
)
from pytest_embedqa.encoders.engines.openai_facts import listed, models_of
from pytest_embedqa.encoders.engines.openai_retrying import IS_IT_THE_ADDRESS, no_answer, pause
from pytest_embedqa.encoders.engines.openai_servers import HeldError, UnavailableError
from pytest_embedqa.encoders.proxies import proxy_of

if TYPE_CHECKING:
    from openai import OpenAI

Inputs = Callable[[list[str]], Sequence[str] | Sequence[list[int]]]

PROBE = "A text to learn the dimension from."
# Values of encoding_format to try, in this order; the last leaves it out.
_ENCODINGS = ("base64", "float", None)
# Statuses of a request that may succeed with fewer texts, other texts, or other fields. 500 (and an error without
# a code in a 200) may also come from a server that is out of order.
_OF_THE_REQUEST = frozenset({400, 413, 422})
_UNCLEAR = frozenset({200, 500})
_NOT_FOUND = frozenset({404, 405})
# Two answers for the same text agree if their cosine is at least this; misread vectors are far below.
_AGREES = 0.9


class WrongAddressError(EngineError):
    """No such API answers at this address.

    Attributes:
        models: Whether the server lists models at this address.
    """

    def __init__(self, text: str, *, models: bool) -> None:
        """Keep whether models are listed."""
        super().__init__(text)
        self.models = models


class Endpoint:
    """The ``/embeddings`` of a server.

    Attributes:
        exact: Whether vectors come as float32, not as decimals.
        most_texts: Largest number of texts that it takes at a time.
    """

    def __init__(  # noqa: PLR0913  what a request is made of
        self,
        client: OpenAI,
        model: str,
        *,
        retries: int,
        most_texts: int,
        key_env: str,
        fields: Mapping[str, Any],
    ) -> None:
        """Prepare an endpoint; nothing is sent yet.

        Args:
            client: The official client; it sends each request once.
            model: Name of the model on the server.
            retries: Number of further attempts after an error that may pass.
            most_texts: Texts of a request, until the server shows that it takes fewer.
            key_env: Environment variable of the key, for errors.
            fields: Further fields of each request.
        """
        self.exact = True
        self.most_texts = most_texts
        self._client = client
        self._model = model
        self._retries = retries
        self._key_env = key_env
        self._fields = fields
        self._encoding: str | None = None
        self._dim: int | None = fields.get("dimensions")
        self._learned = False
        self._taken = 1  # texts of the largest request that was not refused
        url = str(client.base_url)
        proxy = proxy_of(url)
        self._name = f"The server at {url}" + (f" (by the proxy {proxy} of the environment)" if proxy else "")
        self._past_proxy = f" NO_PROXY={urlsplit(url).hostname} leaves out the proxy." if proxy else ""

    def learn(self) -> Vectors:
        """Find the most exact encoding of vectors that the server takes.

        Returns:
            The vector of ``PROBE``, shape (1, d).

        Raises:
            EngineError: If it takes no encoding.
        """
        answer = self._first_answer()
        if answer.exact:
            # "base64" of another server may be half precision: read as float32 it gives another vector.
            with contextlib.suppress(RefusedError, UnreadableVectorError, PageError, UnavailableError):
                self._encoding = "float"
                decimal = self._ask([PROBE], list, patient=False)
                answer = answer if _agree(answer.vectors, decimal.vectors) else decimal
            self._encoding = "base64" if answer.exact else "float"
        self.exact = answer.exact
        self._dim = answer.vectors.shape[1]
        self._learned = True
        return answer.vectors

    def accepts(self, inputs: Inputs, vectors: Vectors) -> bool:
        """Return whether the server takes ``PROBE`` in another form, and gives it the vector that it has as text.

        Raises:
            EngineError: If the vector differs.
        """
        try:
            found = self._ask([PROBE], inputs, patient=False).vectors
        except RefusedError as refused:
            if refused.status not in _OF_THE_REQUEST | _UNCLEAR:
                raise self._error(refused) from None
            return False
        if not _agree(vectors, found):
            raise EngineError(
                f"{self._name} returns different vectors for a text and for its token ids: tokenizer= is not the tokenizer of its model, "
                "or the server reads the numbers as text. Name the model's own tokenizer, or send only texts with truncate=text."
            )
        return True

    def try_once(self) -> None:
        """Leave further attempts of a failed request to the caller from now on."""
        self._retries = 0

    def request(self, texts: list[str], inputs: Inputs = list, *, patient: bool = True) -> Vectors:
        """Return the vectors of texts, with as many requests as the server needs.

        A refused request is sent again in halves. If both are taken, the whole was too large, and later requests are
        kept smaller, unless a request of that size was taken before.

        Args:
            texts: The texts.
            inputs: Turns the texts into the input that is sent.
            patient: Whether errors of the server are waited out; false if the same error was waited out already.

        Raises:
            EngineError: If the server refuses texts, can't be reached, or gives an answer that can't be right.
            OutOfMemoryError: If the server says that it ran out of memory.
        """
        if len(texts) > self.most_texts:
            parts = [texts[start : start + self.most_texts] for start in range(0, len(texts), self.most_texts)]
            return np.concatenate([self.request(part, inputs, patient=patient) for part in parts])
        try:
            return self._ask(texts, inputs, patient=patient).vectors
        except RefusedError as refused:
            problem = refused
        if "out of memory" in problem.said.lower():
            raise OutOfMemoryError(self._quoted(problem))
        single, unclear = len(texts) == 1, problem.status in _UNCLEAR
        if single and unclear and not patient:  # before a text is blamed
            return self.request(texts, inputs)
        doubtful = single or (unclear and patient)
        by_texts = (unclear or problem.status in _OF_THE_REQUEST) and not (doubtful and not self._works())
        if single or not by_texts:
            raise self._error(problem, texts[0] if by_texts else None)
        half = (len(texts) + 1) // 2
        halves = [self.request(part, inputs, patient=False) for part in (texts[:half], texts[half:])]
        self.most_texts = min(self.most_texts, max(half, self._taken))
        return np.concatenate(halves)

    def _first_answer(self) -> EmbeddingsAnswer:
        problem: Exception | None = None
        for self._encoding in _ENCODINGS:
            try:
                return self._ask([PROBE], list, patient=problem is None)
            except RefusedError as refused:  # noqa: PERF203  three encodings at most
                problem = refused
                if refused.status not in _OF_THE_REQUEST | _UNCLEAR:
                    break
            except UnreadableVectorError as error:
                problem = error
            except PageError as page:
                raise WrongAddressError(
                    f"{self._name} answered with {page} instead of vectors. {IS_IT_THE_ADDRESS}{self._past_proxy}",
                    models=False,
                ) from None
        raise self._error(problem) if isinstance(problem, RefusedError) else self._wrong(problem)

    def _works(self) -> bool:
        """Return whether the server still takes the text that it took first."""
        try:
            self._ask([PROBE], list, patient=False)
        except (RefusedError, EngineError):
            return False
        return True

    def _ask(self, texts: list[str], inputs: Inputs, *, patient: bool) -> EmbeddingsAnswer:
        """Send a request; without patience only an answer that says "later" is waited out.

        Raises:
            RefusedError: If the server says no.
            UnreadableVectorError, PageError: If its answer is in another form; only before ``learn`` is done.
            EngineError: If it can't be reached, or its answer can't be right.
        """
        if not patient:
            try:
                return self._attempt(texts, inputs, 0)
            except HeldError:
                raise
            except UnavailableError:
                pass
            except RefusedError as refused:
                if refused.status in _OF_THE_REQUEST | _UNCLEAR or not refused.passes:
                    raise
        return self._attempt(texts, inputs, self._retries)

    def _attempt(self, texts: list[str], inputs: Inputs, retries: int) -> EmbeddingsAnswer:
        import openai

        with waiting(f"the server at {self._client.base_url}", retries + 1) as wait:
            while True:
                try:
                    return self._read(self._post(inputs(texts)), len(texts))
                except openai.APIStatusError as error:
                    problem: Exception = refusal(error)
                except (openai.APIConnectionError, UnwelcomeAnswerError) as error:
                    problem = no_answer(error, self._name, self._past_proxy, self._client.timeout, wait.attempt)
                except (RefusedError, ValueError) as error:
                    problem = error
                learning = not self._learned and isinstance(problem, PageError | UnreadableVectorError)
                seconds = None if learning else pause(problem, wait.attempt, worked=self._learned)
                if seconds is None or wait.attempt > retries:
                    break
                sleep(seconds)
                wait.attempt += 1
        raise problem if learning or isinstance(problem, RefusedError | EngineError) else self._wrong(problem)

    def _post(self, inputs: Sequence[str] | Sequence[list[int]]) -> Any:  # a response of the client's httpx
        from openai import omit

        # The client has its own default for an encoding that is not given.
        fields = self._fields if self._encoding else {**self._fields, "encoding_format": omit}
        with expecting(len(inputs) * (self._dim or 0)):
            return self._client.embeddings.with_raw_response.create(
                model=self._model, input=inputs, encoding_format=self._encoding or "float", extra_body=fields
            ).http_response

    def _read(self, response: Any, count: int) -> EmbeddingsAnswer:  # a response of the client's httpx
        answer = read(content(response), count, self._dim)
        self._taken = max(self._taken, count)
        return answer

    def _quoted(self, refused: RefusedError) -> str:
        return f"{self._name} answered {refused.answered} for the model '{self._model}': {refused.said}"

    def _wrong(self, problem: Exception | None) -> UnavailableError:
        """Return the error for an answer that can't be right."""
        return UnavailableError(
            f"{self._name} gave an impossible answer for the model '{self._model}': {problem}. "
            f"It did so each time; look at its log.{self._past_proxy}"
        )

    def _error(self, refused: RefusedError, text: str | None = None) -> EngineError:
        """Return the error for a refusal, which names the text if a text is known to be the reason."""
        said, status = self._quoted(refused), refused.status
        if status in _NOT_FOUND:
            known = models_of(self._client)
            hint = (
                f"The models of this server: {listed(known)}." if known else f"It lists no models. {IS_IT_THE_ADDRESS}"
            )
            return WrongAddressError(f"{said}\n{hint}{self._past_proxy}", models=bool(known))
        if status in {401, 403}:
            hint = f"Its key is taken from the environment variable {self._key_env}.{self._past_proxy}"
        elif text is not None and not text.strip():
            hint = (
                f"The text is {'blank' if text else 'empty'}, and the server takes none of these. empty=zeros in the spec gives it a vector "
                "of zeros without asking, as mteb does for OpenAI's models; with a prompt in front it is another text."
            )
        elif text is not None:
            hint = (
                f"Of the texts it refuses one, of {len(text):,} characters: {text!r:.60}. "
                "If it is too long for the server: tokenizer=FOLDER&max_length=N in the spec cuts texts here."
            )
        elif status == 429:  # noqa: PLR2004
            hint = "It limits how often it is asked: concurrency=1 in the spec asks for one thing at a time, retries= waits longer."
        elif self._learned and status in _OF_THE_REQUEST | _UNCLEAR:
            hint = f"It refuses now what it has taken before: look at its log.{self._past_proxy}"
        elif not self._learned and (known := models_of(self._client)) and self._model not in known:
            hint = f"The models of this server: {listed(known)}."
        else:
            hint = f"Look at its log.{self._past_proxy}"
        return (UnavailableError if refused.passes else EngineError)(f"{said}\n{hint}")


def _agree(first: Vectors, second: Vectors) -> bool:
    return first.shape == second.shape and bool(same_text_cosine(first, second)[0] >= _AGREES)
