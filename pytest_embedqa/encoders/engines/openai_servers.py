"""Several servers of the same model, each asked in the form that it can take."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines.openai_threads import side_by_side
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.representations import representation_of

# Seconds for which a failed server is left out: doubled each time, from the first number up to the second.
_PAUSE_SECONDS = (0.5, 30)


class UnavailableError(EngineError):
    """A server can't be reached or does not answer properly; another server may."""


class HeldError(UnavailableError):
    """A server used up a request's whole time, or an answer's memory limit: asking it again would cost as much."""


class OneServer(Protocol):
    """The members of an engine on a single server, beside those of any engine."""

    identity: Identity
    limits: Limits
    prompts: Prompts | None
    counts_tokens: bool

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of the texts."""
        ...

    def split(self, texts: list[str]) -> list[list[str]]:
        """Split the texts into requests."""
        ...

    def request(self, texts: list[str]) -> Vectors:
        """Return the vectors of a request."""
        ...

    def try_once(self) -> None:
        """Leave further attempts to the caller."""
        ...

    def differs(self, other: Any) -> str | None:  # of the same class
        """Return in what the other server's answer to the same text differs, as the end of a sentence about it."""
        ...

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


@dataclass(eq=False)
class _Member:
    """A server among several.

    Attributes:
        engine: Engine on this server.
        unanswered: Number of its requests without an answer so far.
        failures: Number of times in a row that it was left out.
        back: Time when it is asked again, on the monotonic clock.
    """

    engine: OneServer
    unanswered: int = 0
    failures: int = 0
    back: float = 0

    def leave_out(self) -> None:
        """Ask other servers for a while; requests that fail together count once."""
        now = time.monotonic()
        if now >= self.back:
            first, most = _PAUSE_SECONDS
            self.back = now + min(first * 2**self.failures, most)
            self.failures += 1


class OpenAIServers:
    """Engine on several servers of the same model.

    Each request goes to the server with the fewest unanswered requests, and to another if that fails.
    """

    def __init__(self, engines: Sequence[OneServer], *, concurrency: int, attempts: int) -> None:
        """Wrap engines that are known to have the same model.

        Args:
            engines: An engine for each server.
            concurrency: Largest number of unanswered requests of a server.
            attempts: Number of attempts of a request for each server.
        """
        first = engines[0]
        addresses = ",".join(one.identity.options["url"] for one in engines)
        # Each server takes part in any vector, and may be asked in its own way.
        learned = {
            key: ",".join(sorted({one.identity.options[key] for one in engines}))
            for key in ("encoding", "input", "api")
            if key in first.identity.options
        }
        self.identity = replace(first.identity, options={**first.identity.options, **learned, "url": addresses})
        self.limits = Limits(first.limits.batch_tokens * len(engines), first.limits.batch_size * len(engines))
        self.prompts = first.prompts
        self.counts_tokens = first.counts_tokens
        self.representation = representation_of(first)
        self._first = first
        self._members = [_Member(engine) for engine in engines]
        self._concurrency = concurrency
        self._attempts = attempts
        self._changed = threading.Condition()

    @classmethod
    def connect(
        cls,
        load: Callable[[Mapping[str, Any]], OneServer],
        given: Sequence[Mapping[str, Any]],
        *,
        concurrency: int,
        attempts: int,
    ) -> OpenAIServers:
        """Connect to each server, by its options, and compare them.

        Raises:
            EngineError: If a server can't be reached, or has another model than the others.
        """
        with contextlib.ExitStack() as opened:
            engines = []
            for options in given:
                engines.append(load(options))
                opened.callback(engines[-1].close)
            require_same(engines)
            for engine in engines:
                engine.try_once()
            opened.pop_all()
        return cls(engines, concurrency=concurrency, attempts=attempts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim): several requests side by side."""
        most = self._concurrency * len(self._members)
        return np.concatenate(side_by_side(self._request, self._first.split(list(texts)), most))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count or estimate the tokens of each text, as a single server does."""
        return self._first.lengths(texts)

    def close(self) -> None:
        """Close all connections."""
        for member in self._members:
            member.engine.close()

    def _request(self, texts: list[str]) -> Vectors:
        """Send a request, and try it on other servers while servers fail.

        Raises:
            EngineError: If no server answers, with the error of each; or if a server refuses for good.
        """
        said: dict[int, str] = {}
        # Failures of each server count by themselves: a server that fails at once is always the freest, and
        # would be tried again and again.
        failed: Counter[int] = Counter()
        while any(failed[id(one)] < self._attempts for one in self._members):
            with self._freest(failed) as member:
                try:
                    vectors = member.engine.request(texts)
                except UnavailableError as error:
                    said[id(member)] = str(error)
                    failed[id(member)] += self._attempts if isinstance(error, HeldError) else 1
                    member.leave_out()
                else:
                    member.failures = 0
                    return vectors
        raise EngineError(
            f"None of the {len(self._members)} servers answers; a request was tried {failed.total()} times:\n"
            + "\n".join(said.values())
        )

    @contextlib.contextmanager
    def _freest(self, failed: Mapping[int, int]) -> Iterator[_Member]:
        """Yield the server with the fewest unanswered requests, without those that failed this request too often."""
        with self._changed:
            while not (free := self._free(failed)):
                # Wait until a request ends, or until a server that was left out is asked again.
                now = time.monotonic()
                self._changed.wait(min((one.back - now for one in self._members if one.back > now), default=None))
            member = min(free, key=lambda one: one.unanswered)
            member.unanswered += 1
        try:
            yield member
        finally:
            with self._changed:
                member.unanswered -= 1
                self._changed.notify_all()  # not everyone waits for this server

    def _free(self, failed: Mapping[int, int]) -> list[_Member]:
        now = time.monotonic()
        return [
            one
            for one in self._members
            if one.back <= now and one.unanswered < self._concurrency and failed.get(id(one), 0) < self._attempts
        ]


def require_same(engines: Sequence[OneServer]) -> None:
    """Check that all servers have the same model, as far as they tell and a text shows.

    Raises:
        EngineError: If they differ; the text says in what, and where.
    """
    first, *others = engines
    for other in others:
        one, two = first.identity, other.identity
        told = {"server": "libraries", "maximum length": "max_length", "dimensions": "full_dim"}
        differing = [
            f"its {name} is {getattr(two, field)} and not {getattr(one, field)}"
            for name, field in told.items()
            if getattr(one, field) != getattr(two, field)
        ]
        if not differing:
            differing = list(filter(None, [first.differs(other)]))
        if differing:
            raise EngineError(
                f"The servers of url= are not the same: {two.options['url']} differs from {one.options['url']}: {'; '.join(differing)}. "
                "Give each the same model, version and settings, or test them one by one."
            )
