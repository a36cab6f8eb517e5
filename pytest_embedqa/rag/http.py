"""A retriever behind any HTTP endpoint: a request made from a template, and paths to the passages in the answer."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_embedqa.core.errors import EngineError, MissingExtraError, SpecError
from pytest_embedqa.core.secrets import hide, hide_given, is_secret_name, public_url, redacted
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import (
    NoJSONError,
    UnreadableJSONError,
    UnwelcomeAnswerError,
    beginning,
    bound,
    json_of,
)
from pytest_embedqa.encoders.proxies import client_settings, proxy_of, usable_proxies
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.addresses import VARIABLE, address_of, variables_of
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.http_body import filled, strings_of

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult

Field = TypeVar("Field")
_KINDS: Mapping[type, str] = {str: "a text", bool: "true or false", dict: "an object"}
_REFUSED = (401, 403)
_NOTHING: Mapping[Any, Any] = {}
# A token of RFC 9110.
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class HttpRetriever:
    """Finds passages by posting to an HTTP endpoint."""

    def __init__(self, settings: HttpRetrieval) -> None:
        """Prepare the request; nothing is sent yet.

        Raises:
            SpecError: If a path, a header or the address is invalid, or an environment variable is not set.
            MissingExtraError: If a package is missing.
        """
        require("httpx", "jmespath", purpose="A retriever over HTTP")
        if "{query}" not in strings_of(settings.body):
            raise SpecError(
                "The body of an HTTP retriever needs {query} where the query belongs, e.g. "
                '{"query": "{query}", "k": "{k}"}; without it every search would be the same.'
            )
        self._settings = settings
        self._hits = _compiled("hits", settings.hits)
        self._within = {
            name: _compiled(name, path)
            for name in ("text", "source", "page", "score", "distance")
            if (path := getattr(settings, name)) is not None
        }
        sent = ", ".join(sorted(variables_of(settings.headers)))
        hint = (
            f"Is what {sent} holds right?"
            if sent
            else "Credentials belong into headers, as ${NAME} of the environment."
        )
        hints = dict.fromkeys(_REFUSED, hint)
        self._service = Service(settings.url, timeout=settings.timeout, headers=settings.headers, hints=hints)

    def __call__(self, query: str, k: int, /) -> list[Passage]:
        """Return the first ``k`` hits.

        Raises:
            EngineError: If the endpoint does not answer, refuses, or its answer does not fit the settings.
        """
        answer = self._service.request("POST", json=filled(self._settings.body, query, k))
        hits = self._search("hits", self._hits, answer)
        if not isinstance(hits, list):
            raise self._wrong(f"hits: {self._settings.hits} finds {_shape(hits)} where a list is expected, in", answer)
        return [self._passage(hit) for hit in hits[:k]]

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _passage(self, hit: Any) -> Passage:  # whatever came back
        found = {name: self._search(name, path, hit) for name, path in self._within.items()}
        text, source = found["text"], found.get("source")
        if not isinstance(text, str) or not text:
            raise self._wrong(f"text: {self._settings.text} finds {_shape(text)} where a text is expected, in", hit)
        if isinstance(source, bool | list | dict):  # as text it would be no document's name, and never be rejected
            raise self._wrong(
                f"source: {self._settings.source} finds {_shape(source)} where a text is expected, in", hit
            )
        return Passage(
            text=text,
            source=None if source is None else str(source),
            page=self._page(found.get("page"), hit),
            score=self._number("score", found.get("score"), hit),
            distance=self._number("distance", found.get("distance"), hit),
        )

    def _page(self, found: Any, hit: Any) -> int | None:
        if found is None:
            return None
        digits = isinstance(found, str) and found.isdecimal()
        if isinstance(found, bool) or not (digits or isinstance(found, int)):
            raise self._wrong(
                f"page: {self._settings.page} finds {redacted(repr(found)):.80} where a whole number is expected, in",
                hit,
            )
        page = int(found) + self._settings.page_offset
        if page < 1:
            raise self._wrong(
                f"page {page} can't be: pages count from 1. page_offset: 1 is for a server that counts from 0; in", hit
            )
        return page

    def _number(self, name: str, found: Any, hit: Any) -> float | None:
        if found is None:
            return None
        number = math.nan
        if isinstance(found, int | float) and not isinstance(found, bool):
            with suppress(OverflowError):  # JSON has whole numbers of any length
                number = float(found)
        if not math.isfinite(number):
            path = getattr(self._settings, name)
            raise self._wrong(f"{name}: {path} finds {redacted(repr(found)):.80} where a number is expected, in", hit)
        return number

    def _search(self, name: str, path: ParsedResult, data: Any) -> Any:
        from jmespath.exceptions import JMESPathError

        try:
            return path.search(data)
        except JMESPathError as error:  # a function in the path got another type
            raise self._wrong(f"{name}: {getattr(self._settings, name)} can't be applied ({error}), in", data) from None

    def _wrong(self, what: str, data: Any) -> EngineError:
        return self._service.error(f"answered other than the retriever's settings say. {what} {_shape(data)}.")


class Service:
    """An HTTP service that speaks JSON: every failure of it is one clear error, which shows no secret."""

    def __init__(
        self, url: str, *, timeout: float, headers: Mapping[str, str] = _NOTHING, hints: Mapping[int, str] = _NOTHING
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            url: Address of the service, to which the path of a request is appended.
            timeout: Seconds for a request: all of it, from the connection to the last byte of the answer.
            headers: Headers of every request; ``${NAME}`` in a value stands for the environment variable NAME, a
                secret.
            hints: Remedies for the error text, by status of the answer.

        Raises:
            SpecError: If the address or a header is invalid, or an environment variable is not set.
            EngineError: If a proxy of the environment can't be used.
        """
        import httpx  # a quarter of a second to import

        hide_given(url)
        self._shown = public_url(url)
        host = address_of(url).host
        # The query string belongs to each request, behind its own path.
        self._address, mark, query = url.partition("?")
        self._query = mark + query
        self._timeout = timeout
        self._hints = hints
        proxy = proxy_of(url)
        self._through = f" (by the proxy {proxy} of the environment; NO_PROXY={host} leaves it out)" if proxy else ""
        expanded = {name: self._expanded(name, value) for name, value in headers.items()}
        with usable_proxies():
            self._client = httpx.Client(headers=expanded, timeout=timeout, **client_settings(url))
        bound(self._client)

    def authorise(self, token: str) -> None:
        """Send this token with every request from now on."""
        hide(token)
        self._client.headers["Authorization"] = f"Bearer {token}"

    def request(
        self, method: str, path: str = "", *, hints: Mapping[int, str] = _NOTHING, **content: Any
    ) -> Any:  # any JSON
        """Send a request, and parse the JSON of its answer.

        Args:
            method: ``GET``, ``POST``, …
            path: Path to append to the address.
            hints: As in the constructor, for this request.
            content: Content to send, as httpx takes it: ``json=``, ``files=``, ``params=``, …

        Raises:
            EngineError: If there is no server, or it breaks off, is too slow, refuses, or answers with anything but
                JSON.
        """
        import httpx

        try:
            with waiting(f"the server at {self._seen(path)}"):
                answer = self._client.request(method, f"{self._address}{path}{self._query}", **content)
        except UnwelcomeAnswerError as error:
            raise self.error(f"{error}. Is the address that of the API?", path) from None
        except (httpx.ConnectTimeout, httpx.ConnectError) as error:
            raise self.error(f"can't be reached ({error}). Is it running, and is the address right?", path) from None
        except httpx.TimeoutException:
            raise self.error(
                f"did not answer within {self._timeout:g} seconds. Look at its log, or set a longer timeout.", path
            ) from None
        except httpx.HTTPError as error:
            raise self.error(f"broke off ({error}). Is it still running? Look at its log.", path) from None
        if answer.has_redirect_location:
            there = f"{public_url(redacted(answer.headers['location'])):.300}"
            raise self.error(f"redirects to {there} ({answer.status_code}). Name that address instead.", path)
        if not answer.is_success:
            hint = {**self._hints, **hints}.get(answer.status_code, "")
            raise self.error(f"answered {answer.status_code}: {beginning(answer.text)}. {hint}", path)
        try:
            return json_of(answer)
        except UnreadableJSONError as error:
            hint = "Is the address that of the API?" if isinstance(error, NoJSONError) else ""
            raise self.error(f"answered what {error}. {hint}", path) from None

    def field(self, answer: Any, name: str, kind: type[Field], path: str = "") -> Field:
        """Return a field of an answer, which must have a given type.

        Raises:
            EngineError: If it has another type, or is missing.
        """
        found = answer.get(name) if isinstance(answer, Mapping) else None
        if not isinstance(found, kind):
            raise self.error(
                f"answered {_shape(answer)}, where {name!r} must be {_KINDS[kind]}; was the server updated?", path
            )
        return found

    def error(self, what: str, path: str = "") -> EngineError:
        """Return the error that says what the server did."""
        text = f"The server at {self._seen(path)}{self._through} {what.strip()}"
        return EngineError(text)

    def _seen(self, path: str) -> str:
        """Return the address of a request in the form that people may see."""
        address, mark, query = self._shown.partition("?")
        return f"{address}{path}{mark}{query}"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _expanded(self, header: str, template: str) -> str:
        """Return a header's value with its environment variables, without line breaks at their ends."""
        values = {name: os.environ.get(name, "").strip() for name in VARIABLE.findall(template)}
        for name, secret in values.items():
            if not secret:
                raise SpecError(f"The header {header} needs the environment variable {name}, which is not set.")
            hide(secret)
        if is_secret_name(header) and not values:
            hide(template.rpartition(" ")[2])  # written into the file itself
        if not _HEADER.fullmatch(header):
            raise SpecError(f"{header!r:.80} is not the name of a header: a name has letters, digits and hyphens only.")
        value = VARIABLE.sub(lambda variable: values[variable[1]], template)
        if not (value.isascii() and value.isprintable()):
            raise SpecError(
                f"The header {header} ({one_line(template)}) holds characters that are not printable ASCII."
            )
        return value


def require(*packages: str, purpose: str) -> None:
    """Check that packages of the extra ``rag`` are installed.

    Raises:
        MissingExtraError: If a package is missing.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "rag", purpose)


def _compiled(name: str, path: str) -> ParsedResult:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(path)
    except JMESPathError as error:
        raise SpecError(f"{name}: {path!r} is not JMESPath, the language of https://jmespath.org: {error}") from None


def _shape(data: Any) -> str:
    """Describe the shape of a part of an answer: its keys or kind, not its contents."""
    if data is None:
        return "nothing"
    if isinstance(data, Mapping):
        return f"an object with the keys {', '.join(data) or '(none)':.300}"
    return f"{type(data).__name__} {redacted(repr(data)):.80}"
