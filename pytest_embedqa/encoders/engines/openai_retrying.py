"""The decision whether, and when, a failed request is sent to its server again."""

from __future__ import annotations

from typing import Any

from pytest_embedqa.encoders.bounds import UnwelcomeAnswerError
from pytest_embedqa.encoders.engines.openai_answers import RefusedError
from pytest_embedqa.encoders.engines.openai_servers import HeldError, UnavailableError

IS_IT_THE_ADDRESS = "Is url= the address of its API? That usually ends in /v1."
_MOST_SECONDS = 8
# A server that asks for a longer pause has no answer for this run.
_MOST_SECONDS_ASKED_FOR = 60


def pause(problem: Exception, attempt: int, *, worked: bool) -> float | None:
    """Return the seconds until the next attempt; ``None`` if there is to be none.

    Args:
        problem: The error of this attempt.
        attempt: Number of this attempt, from 1.
        worked: Whether the server has answered before. A server that has never answered and used up its time is not
            asked again: servers that load a model at the first request begin anew where they are asked anew (Ollama).
    """
    growing = min(0.25 * 2.0**attempt, _MOST_SECONDS)
    if isinstance(problem, HeldError):
        return growing if worked and attempt == 1 else None
    if not isinstance(problem, RefusedError):
        return growing
    if not problem.passes or (problem.asked_for or 0) > _MOST_SECONDS_ASKED_FOR:
        return None
    return growing if problem.asked_for is None else problem.asked_for


def no_answer(
    error: Exception, server: str, past_proxy: str, timeout: Any, attempt: int
) -> UnavailableError:  # as the client keeps it
    """Return the error for a request that the client could not send, or that got no answer.

    Args:
        error: The client's error.
        server: The server, as the subject of a sentence.
        past_proxy: Advice on leaving out a proxy before the server.
        timeout: Seconds of a request.
        attempt: Number of the failed attempt, from 1.
    """
    from openai import APITimeoutError

    cause = error.__cause__
    unwelcome = error if isinstance(error, UnwelcomeAnswerError) else cause  # older clients wrap whatever happens
    if isinstance(unwelcome, UnwelcomeAnswerError):
        return HeldError(f"{server} {unwelcome}. {IS_IT_THE_ADDRESS}{past_proxy}")
    if isinstance(error, APITimeoutError) and type(cause).__name__ != "ConnectTimeout":
        return HeldError(
            f"{server} did not answer within {timeout:g} seconds{', twice' if attempt > 1 else ''}. If it is slow, or loads its model "
            "at the first request, set a longer timeout= in the spec, or a smaller request_texts=. "
            f"If it hangs, look at its log.{past_proxy}"
        )
    return UnavailableError(
        f"{server} can't be reached, after {attempt - 1} more attempts ({error}{f': {cause}' if cause else ''}). "
        f"Is it running, and is url= right? start= in the spec starts a server.{past_proxy}"
    )
