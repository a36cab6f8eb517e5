"""Answers of an OpenAI-compatible server: vectors, or the reason why there are none."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_embedqa.core.secrets import redacted
from pytest_embedqa.encoders.bounds import UnreadableJSONError, json_of
from pytest_embedqa.encoders.engine import Vectors

if TYPE_CHECKING:
    from openai import APIStatusError

# Keys under which servers put their messages, outermost first.
_SAYING = ("error", "errors", "message", "detail", "msg")
# Keys of what was asked for; an answer that has it is no error, whatever else it says.
_RIGHT = ("data", "results")
_CODES = ("code", "status_code", "status")
_SHOWN = 500
# Statuses that pass, beside errors of the server: temporary ones, and 200 with an error that has no code.
_PASSING = frozenset({200, 408, 409, 429})
_SERVER_ERROR = 500


class RefusedError(Exception):
    """A server refused a request.

    Attributes:
        status: The HTTP status; for an error in a 200, the code in its body, or 200 if there is no code.
        said: Message of the server.
        answered: Kind of the answer in words or its status, for error texts.
        asked_for: Seconds until the server wants to be asked again; infinity for never; ``None`` if it does not say.
    """

    def __init__(self, status: int, said: str, answered: str | None = None, asked_for: float | None = None) -> None:
        """Keep the facts of the refusal."""
        super().__init__(said)
        self.status, self.said, self.answered = status, said, answered or str(status)
        self.asked_for: float | None = asked_for

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later, or on another server."""
        return self.status in _PASSING or self.status >= _SERVER_ERROR


class PageError(ValueError):
    """A server answered with a web page."""


class UnreadableVectorError(ValueError):
    """A vector is not in the format in which OpenAI writes it."""


class Answer(NamedTuple):
    """What a server gave for the texts of a request.

    Attributes:
        rows: Row i for text i: vectors of shape (n, d), or scores of shape (n,).
        exact: Whether the numbers came as float32 (base64), not as decimals.
        tokens: Number of tokens that the server says it has read, if it says so.
    """

    rows: Vectors
    exact: bool = False
    tokens: int | None = None


def refusal(error: APIStatusError) -> RefusedError:
    """Return the refusal behind an error of the client."""
    response = error.response
    if there := response.headers.get("location"):
        return RefusedError(error.status_code, f"it redirects to {there:.300}; name that address in url= instead")
    try:
        body = json_of(response)
    except UnreadableJSONError:
        body = response.text
    return RefusedError(error.status_code, _said(body) or "nothing", asked_for=_asked_for(response.headers))


def _asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, by ``Retry-After`` (a number or a date) or by OpenAI's own header that says never."""
    if headers.get("x-should-retry") == "false":
        return math.inf
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return float(asked)
    try:
        return max(parsedate_to_datetime(asked).timestamp() - time.time(), 0)
    except (ValueError, TypeError, OverflowError):
        return None


def content(response: Any) -> Any:  # a response of whichever httpx the client uses, and any JSON
    """Return the JSON of a response that has the status 200.

    Raises:
        RefusedError: If the JSON is an error.
        PageError: If the body is HTML.
        ValueError: If the body is anything else.
    """
    try:
        answer = json_of(response)
    except UnreadableJSONError as error:
        page = _page(response.text)
        raise PageError(page) if page else ValueError(f"an answer that {error}") from None
    if isinstance(answer, Mapping) and not any(map(answer.get, _RIGHT)) and any(answer.get(key) for key in _SAYING):
        code = _code(answer)
        raise RefusedError(code or 200, _said(answer), f"200, with an error{f' ({code})' if code else ''} in it,")
    return answer


def read(answer: Any, count: int, expected: int | None) -> Answer:
    """Return the vectors of an answer, in the order of the texts.

    Args:
        answer: The JSON.
        count: Number of texts that were sent.
        expected: Dimensions, or ``None`` if they are not known.

    Raises:
        ValueError: If the answer can't be right.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("data"), list):
        shape = f"an object of {', '.join(answer):.200}" if isinstance(answer, Mapping) else _written(answer)
        raise ValueError(f"{shape}, without the list 'data' of OpenAI's /v1/embeddings")  # noqa: TRY004  its content is wrong
    data = answer["data"]
    if not all(isinstance(row, Mapping) for row in data):
        raise ValueError(f"'data' is not a list of objects with an 'embedding': {_written(data)}")
    places = _places(data)
    whole = all(type(place) is int for place in places)  # True and 1.0 are equal to 1
    if len(data) != count or not whole or set(places) != set(range(count)):
        raise ValueError(f"{len(data)} vectors with the indexes {_written(places[:5])}… for {count} texts")
    rows = dict(zip(places, data, strict=True))
    sent = [rows[place].get("embedding") for place in range(count)]
    vectors = [_vector(one) for one in sent]
    widths = {len(vector) for vector in vectors}
    if widths == {0}:
        raise ValueError("vectors that hold no numbers")
    if len(widths) > 1 or (expected and widths != {expected}):
        raise ValueError(
            f"vectors of {sorted(widths)[:5]} dimensions{f' where {expected} were expected' if expected else ''}"
        )
    stacked = np.stack(vectors)
    if not np.isfinite(stacked).all():
        raise ValueError("NaN or infinity in a vector, as half precision gives when it overflows")
    return Answer(stacked, all(isinstance(one, str) for one in sent))


def _places(data: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the row of the text that each vector belongs to: by ``index``, or by order without any ``index``."""
    places = [row.get("index") for row in data]
    if all(place is None for place in places):
        return list(range(len(data)))
    # Protocol buffers leave out a number that is zero: Gemini's first row has no index.
    return [0, *places[1:]] if places[0] is None else places


def _vector(embedding: Any) -> Vectors:
    if isinstance(embedding, str):
        try:
            raw = base64.b64decode(embedding + "=" * (-len(embedding) % 4), validate=True)
            return np.frombuffer(raw, dtype="<f4")
        except ValueError:
            raise UnreadableVectorError(f"a text that is not base64 of float32: {embedding!r:.40}") from None
    if not isinstance(embedding, list):
        raise ValueError(f"{_written(embedding)} instead of a vector")  # noqa: TRY004  its content is wrong
    if embedding and isinstance(embedding[0], list):
        raise ValueError(
            "lists instead of a vector's numbers: a vector for each token, as a server without pooling returns"
        )
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in embedding):
        raise ValueError(f"a vector that does not consist of numbers: {_written(embedding)}")
    try:
        with np.errstate(over="ignore"):  # infinity is found later
            return np.array(embedding, dtype=np.float32)
    except OverflowError:
        raise ValueError(f"a vector with a number beyond any float: {_written(embedding)}") from None


def _written(part: Any) -> str:
    """Return the beginning of a part of an answer, as JSON."""
    return json.dumps(part, ensure_ascii=False)[:80]


def _said(body: Any) -> str:
    """Return the message of a refusal, in whichever of many forms it comes."""
    if isinstance(body, Mapping):
        found = next((body[key] for key in _SAYING if body.get(key)), None)
        if found is None:
            return redacted(json.dumps(body, ensure_ascii=False))[:_SHOWN]
        where = ".".join(map(str, body["loc"])) + ": " if isinstance(body.get("loc"), list) else ""
        return where + _said(found)
    if isinstance(body, list):
        return "; ".join(map(_said, body))[:_SHOWN]
    said = redacted(str(body))  # redacted before the cut, as a part of a secret is not recognised
    return (_page(said) or said.strip())[:_SHOWN]


def _code(body: Mapping[str, Any]) -> int | None:
    """Return the status of an error in a 200; servers differ in where they put it and how they write it."""
    inner = [one for key in _SAYING for one in [body.get(key)] if isinstance(one, Mapping)]
    codes = [str(one.get(key)) for one in (*inner, body) for key in _CODES]
    return next((int(code) for code in codes if re.fullmatch("[45][0-9]{2}", code)), None)


def _page(text: str) -> str | None:
    """Return the heading of an HTML page, or else its beginning; ``None`` if the text is no page."""
    if not re.search(r"<(!doctype html|html|head|body)\b", text[:1000], re.IGNORECASE):
        return None
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    shown = re.sub(
        r"<(script|style)\b.*?</\1>|<[^>]*>", " ", title[1] if title else text, flags=re.IGNORECASE | re.DOTALL
    )
    return f"a page of HTML, {redacted(' '.join(unescape(shown).split()))[:120]!r}"
