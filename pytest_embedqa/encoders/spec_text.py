"""The text of a spec: where its options begin, and what of it people and files may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_plus

from pytest_embedqa.core.secrets import is_secret_name, public_command, public_url
from pytest_embedqa.encoders.brackets import composite_name, head_length, in_brackets

ENGINE = re.compile(r"(?P<engine>[A-Za-z][A-Za-z0-9_+-]+):(?P<rest>.*)", re.DOTALL)
_URL = re.compile(r"\w+://\S*")


def public_spec(text: str) -> str:
    """Return a spec as people and files may see it: without passwords and queries of URLs, and without commands."""
    if name := composite_name(text):
        try:
            parts = [f"[{public_spec(part)}]" for part in in_brackets(text)]
        except ValueError:  # nobody knows where a secret in it ends
            return f"{name}:…"
        head, query = split(text)
        head = f"{name}:{''.join(parts)}" if parts else name
        return head + ("?" + "&".join(map(public_pair, query.split("&"))) if query else "")
    head, query = split(text)
    mark = text[len(head) : len(head) + 1]
    return _URL.sub(lambda url: public_url(url[0]), head) + mark + "&".join(map(public_pair, query.split("&")))


def public_pair(pair: str) -> str:
    """Return a pair of key and value as people and files may see it."""
    name, given, raw = pair.partition("=")
    value = unquote_plus(raw)
    seen = PUBLIC[name](value) if name in PUBLIC else "***" if value and is_secret_name(name) else value
    return pair if seen == value else name + given + seen.replace("&", "%26")


def _public_urls(urls: str) -> str:
    return ",".join(map(public_url, urls.split(",")))


# Functions that make values with addresses or commands public.
PUBLIC: Mapping[str, Callable[[str], str]] = {"url": _public_urls, "start": public_command}


def split(text: str) -> tuple[str, str]:
    """Split a spec at the ``?`` of its options: the first ``?`` that is not in the name of a folder or file."""
    if composite_name(text):
        with suppress(ValueError):
            return text[: (end := head_length(text))], text[end + 1 :]
    ends = [len(text), *(place for place in range(len(text) - 1, 0, -1) if text[place] == "?")]
    named = (end for end in ends if exists(text[:end].strip()) or exists(ENGINE.sub(r"\g<rest>", text[:end].strip())))
    end = next(named, len(text.partition("?")[0]))
    return text[:end], text[end + 1 :]


def exists(path: str) -> bool:
    """Return whether there is a file or folder of this name."""
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # no file can have such a name
        return False
