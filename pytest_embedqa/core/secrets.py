"""Secrets that this process knows by value: keys, tokens and passwords that must stand in no text and no file."""

from __future__ import annotations

_IN_ITS_PLACE = "***"
_known: set[str] = set()


def hide(secret: str) -> None:
    """Let ``redacted`` take out a secret from now on."""
    if secret:
        _known.add(secret)


def redacted(text: str) -> str:
    """Text with ``***`` in the place of each secret that is known."""
    for secret in sorted(_known, key=len, reverse=True):  # one may be part of another
        text = text.replace(secret, _IN_ITS_PLACE)
    return text
