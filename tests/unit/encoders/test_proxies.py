"""Which proxy stands before an address."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.proxies import is_local, proxy_of


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.8.9.1", True),
        ("http://localhost/v1", True),
        ("http://models.localhost:80", True),
        ("http://[::1]:8000/v1", True),
        ("http://0.0.0.0:8000", True),
        ("http://10.0.0.1/v1", False),
        ("https://localhost.test/v1", False),
        ("https://api.test", False),
    ],
)
def test_what_is_on_this_machine(url, local):
    """Loopback by name or by number, and nothing else."""
    assert is_local(url) is local


def test_proxy_by_scheme_and_exceptions(monkeypatch):
    """As HTTP clients read the environment; the password is left out."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_of("http://a.test/v1") is None
    monkeypatch.setenv("all_proxy", "socks5://me:secret@p.test:1080")
    monkeypatch.setenv("http_proxy", "p.test:3128")
    monkeypatch.setenv("no_proxy", "inner.test,10.0.0.1")
    assert proxy_of("http://a.test/v1") == "p.test:3128"
    assert proxy_of("https://a.test/v1") == "socks5://***@p.test:1080"
    assert proxy_of("http://x.inner.test:8000/v1") is None
    assert proxy_of("http://10.0.0.1:8000/v1") is None
    assert proxy_of("http://127.0.0.1:8000/v1") is None
