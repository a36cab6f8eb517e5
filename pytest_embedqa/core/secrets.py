"""Secrets of this process (keys, tokens and passwords), which must not stand in any text or file.

They are removed in two ways. By place: userinfo and query of a URL, and the command of a server, are secret wherever
they become text (``public_url``, ``public_command``). By value: a known secret (``hide``) is removed from any text
(``redacted``), as a server, a library or a traceback may quote it.
"""

from __future__ import annotations

import json
import re
import shlex
from hashlib import sha256
from urllib.parse import quote, quote_plus, unquote, urlsplit

_IN_ITS_PLACE = "***"
# A shorter value is removed by its place alone, as GitLab masks none of fewer than 8 characters: "none", "EMPTY" and
# "ollama", which many give for a key, stand in texts without secrets. No such word has a digit.
_LEAST, _LEAST_WITH_DIGIT = 8, 6
# The rest of a secret that is cut ("sk-12...") is removed too if it has at least this many characters.
_LEAST_OF_A_PART = 4
_CUT = re.compile(r"(\.\.\.|…)")
_SECRET = (
    r"(?:keys?|token|secret|passw(?:or)?d|passphrase|[_-]pwd|auth|authorization|credentials?|cookies?|sig|signature)"  # noqa: S105  names of secrets
)
_SECRET_NAME = re.compile(rf".*{_SECRET}", re.IGNORECASE)
# In a command or a URL: --api-key VALUE, --api-key=VALUE, API_KEY=VALUE, ?api_key=VALUE, "api_key": "VALUE", Authorization: Bearer VALUE.
_GIVEN = re.compile(
    rf"""(?:(?<![\w-])--?[\w.-]*{_SECRET}["']?[=\s]|[\w.-]*{_SECRET}(?:=|["']\s*:)|(?:authorization|[\w-]*api-key|cookie):)"""
    r"""\s*(?:(?:bearer|basic)\s+)?(?![-{])(?:"([^"]+)"|'([^']+)'|([^\s"'&,}\]#]+))""",
    re.IGNORECASE,
)
_URL = re.compile(r"""\w+://[^\s"']+""")
_MARK = re.compile(r"~[0-9a-f]{8}(?![0-9a-f])")
_known: set[str] = set()


def hide(secret: str) -> None:
    """Let ``redacted`` remove a secret from now on, also in the forms that URLs, JSON and Python write it in.

    A secret has at least 8 characters, or at least 6 with a digit among them; shorter values are ignored.
    """
    secret = secret.strip()
    if len(secret) >= (_LEAST_WITH_DIGIT if re.search(r"\d", secret) else _LEAST):
        _known.update(
            (
                secret,
                quote(secret),
                quote(secret, safe=""),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
                repr(secret)[1:-1],
            )
        )


def hide_given(text: str) -> None:
    """Hide the secrets in a URL, a spec or a command: values of names such as ``api_key``, and passwords of URLs."""
    for found in _GIVEN.finditer(text):
        value = next(filter(None, found.groups()))
        hide(value)
        hide(unquote(value))
    for url in _URL.findall(text):
        user, _, password = _userinfo(url).partition(":")
        hide(password or user)
        hide(unquote(password or user))


def is_secret_name(name: str) -> bool:
    """Return whether a variable, an option or a header of this name holds a secret, as far as names tell."""
    return bool(_SECRET_NAME.fullmatch(name))


def holds_secret(text: str) -> bool:
    """Return whether a secret stands in a spec, as far as names tell."""
    return bool(_GIVEN.search(text) or any(map(_userinfo, _URL.findall(text)))) or redacted(text) != text


def redacted(text: str) -> str:
    """Replace each known secret in a text by ``***``, also the rest of a secret before or after a cut."""
    by_length = sorted(_known, key=len, reverse=True)  # a secret may be part of another
    for secret in by_length:
        if secret.isdecimal():  # as 123456, which is a part of 0.123456
            text = re.sub(rf"(?<!\d)(?<!\d\.){secret}(?!\d)", _IN_ITS_PLACE, text)
        else:
            text = text.replace(secret, _IN_ITS_PLACE)
    pieces = _CUT.split(text) if by_length else [text]  # what a cut is, at the odd places
    for place in range(0, len(pieces), 2):
        for secret in by_length:
            if place + 1 < len(pieces):
                pieces[place] = _without_beginning(pieces[place], secret)
            if place:
                pieces[place] = _without_end(pieces[place], secret)
    return "".join(pieces)


def _without_beginning(text: str, secret: str) -> str:
    """Text that a cut follows, without the beginning of a secret right before it."""
    if len(text) < _LEAST_OF_A_PART or text[-_LEAST_OF_A_PART:] not in secret:  # soon, as a text may have many cuts
        return text
    lengths = range(len(secret) - 1, _LEAST_OF_A_PART - 1, -1)
    return next((text[:-n] + _IN_ITS_PLACE for n in lengths if text.endswith(secret[:n])), text)


def _without_end(text: str, secret: str) -> str:
    """Text that follows a cut, without the end of a secret right behind it."""
    if len(text) < _LEAST_OF_A_PART or text[:_LEAST_OF_A_PART] not in secret:
        return text
    lengths = range(len(secret) - 1, _LEAST_OF_A_PART - 1, -1)
    return next((_IN_ITS_PLACE + text[n:] for n in lengths if text.startswith(secret[-n:])), text)


def public_url(url: str) -> str:
    """Return a URL that people and files may see: ``***`` for its user and password, and for each value of its query.

    A value whose name is no secret's becomes a digest, as it may decide the answer: two URLs that differ in an API's
    version or a deployment remain different, and a URL whose key is renewed remains the same.
    """
    at = _end_of_userinfo(url)
    start = _start_of_host(url)
    if at >= start:
        url = url[:start] + _IN_ITS_PLACE + url[at:]
    found = re.search(r"[?#]", url[start:])
    if not found:
        return url
    end = start + found.end()
    return url[:end] + "&".join(map(_public_pair, url[end:].split("&")))


def public_command(command: str) -> str:
    """Return a command that people and files may see: its program's name and a digest that leaves keys out."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        words = command.split()
    without = _GIVEN.sub(_IN_ITS_PLACE, _URL.sub(lambda url: public_url(url[0]), " ".join(words)))
    return "".join(re.split(r"[/\\]", word.partition("=")[0])[-1] for word in words[:1]) + _digest(without)


def is_public(text: str) -> bool:
    """Return whether secrets or a command were removed from this text by place: then it can be shown but not used."""
    return _IN_ITS_PLACE in text or bool(_MARK.search(text))


def _public_pair(pair: str) -> str:
    name, given, value = pair.partition("=")
    if is_secret_name(name) and value:
        return f"{name}={_IN_ITS_PLACE}"
    return name + given + _digest(value) if value else pair and (pair if given else _digest(pair))


def _digest(text: str) -> str:
    return f"~{sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _userinfo(url: str) -> str:
    return url[_start_of_host(url) : max(_end_of_userinfo(url), 0)]


def _start_of_host(url: str) -> int:
    return url.find("://") + 3 if "://" in url else 0


def _end_of_userinfo(url: str) -> int:
    """Return the index of the ``@`` after the userinfo; -1 without userinfo.

    In a URL that can't be right, everything before the last ``@`` may be a password.
    """
    try:
        parts = urlsplit(url)
        _port, sound = parts.port, bool(parts.hostname)  # an invalid port raises
    except ValueError:
        sound = False
    start = _start_of_host(url)
    host = re.match(r"[^/?#]*", url[start:])
    return url.rfind("@", start, start + len(host[0]) if sound and host else len(url))
