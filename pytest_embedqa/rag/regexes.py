r"""Regular expressions of users, searched by Python's ``re`` within a time limit.

The package ``regex`` has a limit, but another syntax: its ``\w`` differs from that of ``re`` in 30,000 characters. RE2
has no look-around. So ``re`` searches, in a process that can be ended.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag import regex_process
from pytest_embedqa.rag.regex_process import Search

# Seconds for a passage; a sensible pattern takes a thousandth of a second.
SECONDS = 5.0


class SlowPatternError(DataError):
    """Raised if a regular expression takes too long.

    Attributes:
        pattern: The expression.
    """

    def __init__(self, pattern: str, length: int) -> None:
        """Name the length of the text and the remedy."""
        self.pattern = pattern
        super().__init__(
            f"the regular expression {pattern!r:.200} took more than {SECONDS:g} seconds, or all memory, for a text of "
            f"{length:,} characters. Repeat nothing that repeats itself; say what comes between."
        )


class _Searcher:
    """The searching process, started on demand and again after it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = Lock()

    def ask(self, request: str) -> str:
        """Send a line and return the line of the answer; empty if the process ended over it."""
        with self._lock:
            if self._process is None or self._owner != os.getpid():  # a forked child has no process of its own
                self._owner = os.getpid()
                self._process = subprocess.Popen(  # noqa: S603  ours
                    [sys.executable, "-I", "-S", str(Path(regex_process.__file__))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            assert self._process.stdin is not None  # noqa: S101  both are pipes
            assert self._process.stdout is not None  # noqa: S101
            answer = ""
            try:
                self._process.stdin.write(f"{request}\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            except OSError:  # the process is gone
                pass
            finally:
                if not answer:
                    self._end()
            return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()


@cache
def _searcher() -> _Searcher:
    searcher = _Searcher()
    atexit.register(searcher.close)
    return searcher


def search(searches: Sequence[Search]) -> list[bool]:
    """Search for expressions, and return for each whether it is found.

    Raises:
        SlowPatternError: If the searches take more than ``SECONDS`` together.
        ValueError: If a pattern is no regular expression.
    """
    answer = _searcher().ask(json.dumps([SECONDS, searches]))
    if not answer:
        raise SlowPatternError(searches[0][0], max(len(text) for _, _, text, _, _ in searches))
    found: list[bool] | str = json.loads(answer)
    if isinstance(found, str):
        raise ValueError(found)  # noqa: TRY004  the words of re
    return found
