"""Proxies of the environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``), by address."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.secrets import public_url


def is_local(url: str) -> bool:
    """Return whether an address is on this machine (``localhost``, loopback); a proxy would go to its own machine."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def client_settings(url: str) -> dict[str, Any]:
    """Return arguments that keep a client of httpx to its address, without a proxy for this machine.

    A redirect would send the request, and maybe the key, to a host that nobody named. A client that ignores the
    environment ignores ``SSL_CERT_FILE`` too, so it gets the certificates.
    """
    direct = {"trust_env": False, "verify": ssl.create_default_context()} if is_local(url) else {}
    return {"follow_redirects": False, **direct}


@contextlib.contextmanager
def usable_proxies() -> Iterator[None]:
    """Make a client inside this context, which reads the environment at that time.

    Raises:
        EngineError: If the client can't use a proxy of the environment.
    """
    try:
        yield
    except (ImportError, ValueError) as error:
        said = str(error)
        for proxy in getproxies().values():
            said = said.replace(proxy, public_url(proxy))
        raise EngineError(
            f"The proxies of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) can't be used: {said}. Unset them, or name others."
        ) from None


def proxy_of(url: str) -> str | None:
    """Return the proxy by which HTTP clients reach an address, fit to be shown; ``None`` where there is none."""
    parts = urlsplit(url)
    if is_local(url) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return public_url(proxy) if proxy else None
