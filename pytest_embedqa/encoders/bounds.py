"""Bounds on a server's time for a request, from the connection to the last byte, and on the memory for its answer."""

from __future__ import annotations

import codecs
import json
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pytest_embedqa.core.secrets import redacted

Result = TypeVar("Result")

# A listening server accepts a connection at once, however long the request itself may take.
_SECONDS_TO_CONNECT = 10
# JSON takes up to 25 times its size in memory once it is parsed.
MOST_BYTES = 16 * 2**20
# Bytes of a vector's number in decimals, with sign, exponent and comma.
_BYTES_A_NUMBER = 32
_DEEPEST = 100
# Bytes given to a slow reader at a time.
_SENT_AT_A_TIME = 16_384
# Python lists these among its charsets. They are made for names, and take time with the square of a text's length.
_NO_CHARSETS = {"punycode", "idna"}
# The deadline and the size limit of the request that this thread has under way.
_now = threading.local()


class UnwelcomeAnswerError(Exception):
    """An answer that is not read on: it is too long, or in another encoding than the request asked for."""


class UnreadableJSONError(ValueError):
    """An answer that is no readable JSON; the text says why, for a sentence about the server."""


class NoJSONError(UnreadableJSONError):
    """An answer that is no JSON at all, such as the page of another address."""


def bound(client: Any) -> None:  # of httpx or httpx2, whichever a library uses
    """Give a client's timeout to each request as a whole, and each answer a maximum size.

    The libraries limit only the wait for each part: a server that sends a byte now and then would never time out.
    A late request raises the library's own timeout; a forbidden answer raises UnwelcomeAnswerError.
    """
    client.headers["Accept-Encoding"] = "gzip"  # its unpacked size can be watched
    client.event_hooks["request"].append(_begin)
    client.event_hooks["response"].append(_read)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001  there is no public way
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _Network(pool._network_backend)  # noqa: SLF001


@contextmanager
def expecting(numbers: int) -> Iterator[None]:
    """Expect this many numbers in answers inside this context, so that an answer with many vectors may be long."""
    _now.most = max(MOST_BYTES, numbers * _BYTES_A_NUMBER)
    try:
        yield
    finally:
        _now.most = MOST_BYTES


def within(seconds: float, ask: Callable[[], Result]) -> Result | None:
    """Return the result of a function, or ``None`` if it raises or takes longer, and then leave it to itself.

    For questions by clients of other libraries, which limit each of their waits but not the whole.
    """
    found: list[Result] = []

    def answer() -> None:
        with suppress(Exception):  # whatever a library raises, there is no answer
            found.append(ask())

    asking = threading.Thread(target=answer, name="embedqa-asks", daemon=True)
    asking.start()
    asking.join(seconds)
    return found[0] if found else None


def json_of(response: Any) -> Any:  # a response of either httpx; any JSON
    """Parse the JSON of a response.

    Raises:
        UnreadableJSONError: If the body is no JSON, nests too deeply or repeats a key, or its charset can't be right.
    """
    charset = response.charset_encoding  # without a charset JSON is UTF-8, and httpx always assumes so
    try:
        text = response.content.decode(charset) if charset else response.content
    except (LookupError, UnicodeDecodeError):
        raise _misread(charset) from None
    try:
        found = json.loads(text.removeprefix("\ufeff") if charset else text, object_pairs_hook=_object)
    except UnreadableJSONError:
        raise
    except UnicodeDecodeError:
        raise _misread(charset) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        if "digits" in str(error):  # Python reads no integer of more than 4,300 digits
            raise UnreadableJSONError("holds a number of thousands of digits") from None
        raise NoJSONError(f"is not JSON: {beginning(response.text)}") from None
    if text.count("[" if charset else b"[") + text.count("{" if charset else b"{") > _DEEPEST:
        _require_shallow(found)
    return found


def beginning(text: str, most: int = 300) -> str:
    """Return the first words of an answer's body."""
    line = " ".join(redacted(text)[: 10 * most].split())  # before the cut: a part of a secret is not recognised
    return f"'{line[:most]}{'…' if len(line) > most else ''}'" if line else "nothing"


def _begin(request: Any) -> None:
    seconds = request.extensions["timeout"]
    seconds["connect"] = min(seconds["connect"], _SECONDS_TO_CONNECT)
    # A redirect passes this same mapping on: all requests of a chain of redirects share this time.
    _now.until = seconds.setdefault("until", time.monotonic() + seconds["read"])


def _read(response: Any) -> None:
    """Read and unpack a whole answer."""
    library = sys.modules[type(response).__module__.partition(".")[0]]
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    if coding not in {"identity", "", "gzip", "x-gzip"}:
        raise UnwelcomeAnswerError(f"compressed its answer by {coding!r:.40}, which the request did not allow")
    charset = response.charset_encoding or "utf-8"
    with suppress(LookupError):  # the parser reports an unknown charset
        if codecs.lookup(charset).name in _NO_CHARSETS:
            raise UnwelcomeAnswerError(f"answered in {charset!r:.40}, which is not a charset of texts")
    most = getattr(_now, "most", MOST_BYTES)
    packed = response.stream
    size, parts = 0, []
    for part in _unpacked(packed, most) if "gzip" in coding else packed:
        size += len(part)
        if size > most:
            raise UnwelcomeAnswerError(
                f"sends an answer of more than {most / 2**20:,.0f} MiB, which is more than is read"
            )
        parts.append(part)
    packed.close()
    response.stream = library.ByteStream(b"".join(parts))


def _unpacked(packed: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield the parts of an answer, none of them much larger than the limit for the whole."""
    gzip = zlib.decompressobj(wbits=31)
    try:
        for part in packed:
            yield gzip.decompress(part, most + 1)
    except zlib.error:
        raise UnwelcomeAnswerError("says that its answer is compressed by gzip, which it is not") from None


class _Network:
    """A client's network, as httpcore has it, with the deadline of the request that is under way."""

    def __init__(self, network: Any) -> None:  # of httpcore or httpcore2
        self._network = network

    def connect_tcp(self, *given: Any, timeout: float | None = None, **others: Any) -> _Stream:
        library = type(self._network).__module__.partition(".")[0]
        return _Stream(self._network.connect_tcp(*given, timeout=_left(timeout, library), **others))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class _Stream:
    """A connection whose reads and writes each have the rest of the request's time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._library = type(stream).__module__.partition(".")[0]

    def read(self, most: int, timeout: float | None = None) -> bytes:
        read: bytes = self._stream.read(most, timeout=_left(timeout, self._library))
        return read

    def write(self, data: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(data), _SENT_AT_A_TIME):
            self._stream.write(data[start : start + _SENT_AT_A_TIME], timeout=_left(timeout, self._library))

    def start_tls(self, *given: Any, timeout: float | None = None, **others: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*given, timeout=_left(timeout, self._library), **others))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _left(timeout: float | None, library: str) -> float:
    """Return the seconds left for the next step.

    Raises:
        ReadTimeout: The library's own, if no time is left.
    """
    left: float = _now.until - time.monotonic()
    if left <= 0:
        raise sys.modules[library].ReadTimeout("the time of the whole request is over")
    return left if timeout is None else min(timeout, left)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, of which each key must stand once: of two values, parsers take either."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise UnreadableJSONError(f"has the key {key!r:.80} twice in one object of its JSON")
        found[key] = value
    return found


def _require_shallow(found: Any) -> None:
    level = [found]
    for _ in range(_DEEPEST):
        level = [child for one in level for child in _children(one)]
        if not level:
            return
    raise _too_deep()


def _children(one: Any) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def _too_deep() -> UnreadableJSONError:
    return UnreadableJSONError(f"is JSON of more than {_DEEPEST} levels")


def _misread(charset: str | None) -> UnreadableJSONError:
    return UnreadableJSONError(
        f"can't be read as {charset or 'UTF-8':.40}: its header content-type must name the charset"
    )
