"""Searches for regular expressions in a separate process, which ends itself if a search takes too long.

Python's ``re`` can't be interrupted from another thread. The module runs as a script: each line of input is a JSON list
of seconds and searches, each line of output their results.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence

# The pattern, a fallback for an invalid pattern, the text, and start and end of the part that a match must touch.
Search = tuple[str, "str | None", str, int, int]


def found(searches: Iterable[Search]) -> list[bool] | str:
    """Return the result of each search; or why a pattern is invalid."""
    try:
        return [_is_found(*search) for search in searches]
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)


def _is_found(pattern: str, otherwise: str | None, text: str, start: int, end: int) -> bool:
    try:
        compiled = re.compile(pattern)
    except re.error:
        if otherwise is None:
            raise
        compiled = re.compile(otherwise)
    return any(found.start() < end and found.end() > start for found in compiled.finditer(text))


def _answer(seconds: float, searches: Sequence[Search]) -> list[bool] | str:
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  a start of milliseconds without pathlib
        # It runs in C, without the interpreter lock, which a search never releases.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return found(searches)
        finally:
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(_answer(*json.loads(line)))}\n")
        sys.stdout.flush()
