"""Addresses of live systems, and the environment variables in request headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.secrets import public_url

VARIABLE = re.compile(r"\$\{(\w+)\}")
_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """The address of a server: the origin of a URL."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def address_of(url: str) -> Address:
    """Return the address of a server, as its client will understand the URL.

    Raises:
        SpecError: If the text is no URL, or holds a password.
    """
    import httpx  # a quarter of a second to import

    try:
        parsed = httpx.URL(url)
        urlsplit(url).port  # noqa: B018  raises for a number that no port has, which httpx lets pass
    except (httpx.InvalidURL, ValueError) as error:
        raise SpecError(f"{public_url(url)!r:.80} is not an address: {error}.") from None
    if parsed.scheme not in _PORTS or not parsed.host:
        raise SpecError(f"{public_url(url)!r:.80} is not the address of a server; it must be http://HOST:PORT/…")
    if parsed.userinfo:
        raise SpecError("An address must not hold a password: credentials come from the environment.")
    return Address(parsed.scheme, parsed.host.lower(), parsed.port or _PORTS[parsed.scheme])


def variables_of(headers: Mapping[str, str]) -> set[str]:
    """Return the names of the environment variables in headers."""
    return {name for value in headers.values() for name in VARIABLE.findall(value)}
