"""Searches for regular expressions in a process of its own, which ends itself where one takes too long.

Python's ``re`` can't be interrupted from another thread. Run as a script: each line of its input is a JSON list of seconds
and searches, each line of its output what came of them.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence

# The pattern, one to take if that is none, the text, and start and end of the part to which something found must belong.
Search = tuple[str, "str | None", str, int, int]


def found(searches: Iterable[Search]) -> list[bool] | str:
    """What each search finds; or why a pattern is none."""
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
        # Of C: it needs no turn of the interpreter, which a search does not give.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return found(searches)
        finally:
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(_answer(*json.loads(line)))}\n")
        sys.stdout.flush()
