"""An endpoint of a single server, whose answers show which requests it can take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import UnwelcomeAnswerError
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.openai_answers import (
    Answer,
    PageError,
    RefusedError,
    UnreadableVectorError,
    refusal,
)
from pytest_embedqa.encoders.engines.openai_facts import listed, models_of
from pytest_embedqa.encoders.engines.openai_retrying import IS_IT_THE_ADDRESS, no_answer, pause
from pytest_embedqa.encoders.engines.openai_servers import HeldError, UnavailableError
from pytest_embedqa.encoders.proxies import proxy_of

if TYPE_CHECKING:
    from openai import OpenAI

# Turns texts into the part of a request that stands for them.
Inputs = Callable[[list[str]], Any]

# Statuses of a request that may succeed with fewer texts, other texts, or other fields. 500 (and an error without
# a code in a 200) may also come from a server that is out of order.
OF_THE_REQUEST = frozenset({400, 413, 422})
UNCLEAR = frozenset({200, 500})
_NOT_FOUND = frozenset({404, 405})


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
    """An endpoint of a server; a subclass has the form of its requests and answers.

    Attributes:
        probe: Texts of the first request, by which the server is learned.
        gives: What it gives for texts, in a word.
        most_texts: Largest number of texts that it takes at a time.
    """

    probe: ClassVar[list[str]]
    gives: ClassVar[str]

    def __init__(
        self,
        client: OpenAI,
        model: str,
        *,
        retries: int,
        most_texts: int,
        key_env: str | None,
    ) -> None:
        """Prepare an endpoint; nothing is sent yet.

        Args:
            client: The official client; it sends each request once.
            model: Name of the model on the server.
            retries: Number of further attempts after an error that may pass.
            most_texts: Texts of a request, until the server shows that it takes fewer.
            key_env: Environment variable of the key, for errors; ``None`` if none was named.
        """
        self.most_texts = most_texts
        self._client = client
        self._model = model
        self._retries = retries
        self._key_env = key_env
        self._learned = False
        self._taken = 1  # texts of the largest request that was not refused
        url = str(client.base_url)
        proxy = proxy_of(url)
        self._name = f"The server at {url}" + (f" (by the proxy {proxy} of the environment)" if proxy else "")
        self._past_proxy = f" NO_PROXY={urlsplit(url).hostname} leaves out the proxy." if proxy else ""

    def try_once(self) -> None:
        """Leave further attempts of a failed request to the caller from now on."""
        self._retries = 0

    def request(self, texts: list[str], inputs: Inputs = list, *, patient: bool = True) -> Vectors:
        """Return the rows of texts, with as many requests as the server needs.

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
            return self._ask(texts, inputs, patient=patient).rows
        except RefusedError as refused:
            problem = refused
        if "out of memory" in problem.said.lower():
            raise OutOfMemoryError(self._quoted(problem))
        single, unclear = len(texts) == 1, problem.status in UNCLEAR
        if single and unclear and not patient:  # before a text is blamed
            return self.request(texts, inputs)
        doubtful = single or (unclear and patient)
        by_texts = (unclear or problem.status in OF_THE_REQUEST) and not (doubtful and not self._works())
        if single or not by_texts:
            raise self._error(problem, texts[0] if by_texts else None)
        half = (len(texts) + 1) // 2
        halves = [self.request(part, inputs, patient=False) for part in (texts[:half], texts[half:])]
        self.most_texts = min(self.most_texts, max(half, self._taken))
        return np.concatenate(halves)

    def _first_answer(self, forms: Iterable[Callable[[], None]]) -> Answer:
        """Return the answer to the probe, in the first form of a request that the server takes.

        Args:
            forms: Functions that each choose a form of request, the most wanted first.
        """
        problem: Exception | None = None
        for choose in forms:
            choose()
            try:
                return self._ask(self.probe, list, patient=problem is None)
            except RefusedError as refused:
                problem = refused
                if refused.status not in OF_THE_REQUEST | UNCLEAR:
                    break
            except UnreadableVectorError as error:
                problem = error
            except PageError as page:
                raise WrongAddressError(
                    f"{self._name} answered with {page} instead of {self.gives}. {IS_IT_THE_ADDRESS}{self._past_proxy}",
                    models=False,
                ) from None
        raise self._error(problem) if isinstance(problem, RefusedError) else self._wrong(problem)

    def _works(self) -> bool:
        """Return whether the server still takes the text that it took first."""
        try:
            self._ask(self.probe[:1], list, patient=False)
        except (RefusedError, EngineError):
            return False
        return True

    def _ask(self, texts: list[str], inputs: Inputs, *, patient: bool) -> Answer:
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
                if refused.status in OF_THE_REQUEST | UNCLEAR or not refused.passes:
                    raise
        return self._attempt(texts, inputs, self._retries)

    def _attempt(self, texts: list[str], inputs: Inputs, retries: int) -> Answer:
        import openai

        with waiting(f"the server at {self._client.base_url}", retries + 1) as wait:
            while True:
                try:
                    answer = self._read(self._post(inputs(texts)), len(texts))
                except openai.APIStatusError as error:
                    problem: Exception = refusal(error)
                except (openai.APIConnectionError, UnwelcomeAnswerError) as error:
                    problem = no_answer(error, self._name, self._past_proxy, self._client.timeout, wait.attempt)
                except (RefusedError, ValueError) as error:
                    problem = error
                else:
                    self._taken = max(self._taken, len(texts))
                    return answer
                learning = not self._learned and isinstance(problem, PageError | UnreadableVectorError)
                seconds = None if learning else pause(problem, wait.attempt, worked=self._learned)
                if seconds is None or wait.attempt > retries:
                    break
                sleep(seconds)
                wait.attempt += 1
        raise problem if learning or isinstance(problem, RefusedError | EngineError) else self._wrong(problem)

    def _post(self, inputs: Any) -> Any:  # what ``Inputs`` returns; a response of the client's httpx
        """Send a request."""
        raise NotImplementedError

    def _read(self, response: Any, count: int) -> Answer:
        """Read the answer to a request for so many texts."""
        raise NotImplementedError

    def _blame(self, text: str) -> str:
        """Return advice about a text that the server refuses."""
        raise NotImplementedError

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
            variable = (
                f"is taken from the environment variable {self._key_env}" if self._key_env else "is named by key_env="
            )
            hint = f"Its key {variable}.{self._past_proxy}"
        elif text is not None:
            hint = self._blame(text)
        elif status == 429:  # noqa: PLR2004
            hint = "It limits how often it is asked: concurrency=1 in the spec asks for one thing at a time, retries= waits longer."
        elif self._learned and status in OF_THE_REQUEST | UNCLEAR:
            hint = f"It refuses now what it has taken before: look at its log.{self._past_proxy}"
        elif not self._learned and (known := models_of(self._client)) and self._model not in known:
            hint = f"The models of this server: {listed(known)}."
        else:
            hint = f"Look at its log.{self._past_proxy}"
        return (UnavailableError if refused.passes else EngineError)(f"{said}\n{hint}")
