"""Progress of encodings and waits for servers: a bar in a terminal, occasional lines in a log, nothing under ``-q``."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_embedqa.core.showing import one_line, shown
from pytest_embedqa.core.waiting import oldest

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.encoders.encoder import Progress

# Fewer texts than this are encoded before anyone could read a bar.
_WORTH_A_BAR = 256
# Seconds between two lines of progress where no bar can be drawn (CI logs, xdist workers).
_SECONDS_BETWEEN_LINES = 30.0
# Seconds after which a slow server is named: in a terminal (True), in a log (False).
_SECONDS_OF_A_WAIT = {True: 5.0, False: 15.0}


@dataclass
class Place:
    """The position of the running test in the run.

    Attributes:
        number: Number of the test, starting at 1; 0 before the first.
        of: Number of embedding tests in this run.
        name: Name of the test.
        minutes: Limit on its evaluation in minutes, if it has one.
        before: Number of texts encoded in earlier calls: large corpora come in blocks.
    """

    of: int
    number: int = 0
    name: str = ""
    minutes: float | None = None
    before: int = 0
    _began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """Return the position in words, such as ``test 3 of 12, test_arguments``."""
        before = f", after {self.before:,}" if self.before else ""
        return f"test {self.number} of {self.of}, {self.name:.32}{before}"

    @property
    def since(self) -> float:
        """The seconds since the run began."""
        return time.monotonic() - self._began


def progress_of(config: pytest.Config, place: Place | None) -> Progress:
    """Return the progress for an encoder, written past pytest's output capture."""
    worker, quiet = _worker(config), _is_quiet(config)
    uncaptured = partial(_uncaptured, config)

    @contextlib.contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
        if quiet or total < _WORTH_A_BAR:
            yield lambda done: None  # noqa: ARG005
            return
        from tqdm import tqdm

        label = str(place) if place and place.number else label
        with uncaptured():
            interactive = sys.stderr.isatty() and not worker
            bar = tqdm(
                total=total, desc=shown(label), unit="text", leave=False, disable=not interactive, dynamic_ncols=True
            )
        began = said = time.monotonic()
        so_far = 0

        def advance(done: int) -> None:
            nonlocal said, so_far
            so_far += done
            now = time.monotonic()
            with uncaptured():
                bar.update(done)
                if not interactive and now - said > _SECONDS_BETWEEN_LINES:
                    said = now
                    where = f"{worker}: {label}" if worker else label
                    sys.stderr.write(shown(f"\nembedqa: {where}: {progress_line(so_far, total, now - began, place)}\n"))

        try:
            yield advance
        finally:
            if place:
                place.before += so_far
            with uncaptured():
                bar.close()

    return progress


def tell_waits(config: pytest.Config) -> None:
    """Report, until the run ends, for which server the run waits, and since when.

    A thread with a file of its own reports it: the waiting code can't, and what it prints would be captured.
    """
    if _is_quiet(config):
        return
    with _uncaptured(config):
        interactive = sys.stderr.isatty() and not _worker(config)
        try:
            stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")
        except (OSError, ValueError):  # a program that runs pytest may have no such file
            return
    ended = threading.Event()
    worker = f"{name}: " if (name := _worker(config)) else ""

    def tell() -> None:
        said, long = 0.0, _SECONDS_OF_A_WAIT[interactive]
        while not ended.wait(1):
            wait, now = oldest(), time.monotonic()
            if wait and now - wait.began >= long and now - said >= 2 * long:
                said = now
                with contextlib.suppress(OSError):  # the terminal may have been closed
                    stream.write(f"\nembedqa: {worker}{one_line(shown(str(wait)))}\n")
                    stream.flush()
        stream.close()

    threading.Thread(target=tell, name="embedqa-waits", daemon=True).start()
    config.add_cleanup(ended.set)


def _worker(config: pytest.Config) -> str:
    """Return the name of the xdist worker that this process is, if it is one."""
    return os.environ.get("PYTEST_XDIST_WORKER", "") if hasattr(config, "workerinput") else ""


def _is_quiet(config: pytest.Config) -> bool:
    return getattr(config.option, "verbose", -1) < 0  # without pytest's terminal plugin there is no such option


@contextlib.contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Make stderr the run's own for the time of the context."""
    capture = config.pluginmanager.getplugin("capturemanager")
    redirected = sys.stderr
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield
    sys.stderr = redirected  # pytest's own capture stands there now, whatever stood there before


def progress_line(done: int, total: int, seconds: float, place: Place | None) -> str:
    """Describe how far an encoding is, how fast, how long it will still take, and how long the run has taken."""
    from tqdm import tqdm

    rate = done / seconds if seconds else 0.0
    left = tqdm.format_interval((total - done) / rate) if rate else "?"
    line = f"{done:,} of {total:,} texts ({done / total:.0%}), {rate:,.1f} texts/s, {left} left"
    if place and place.number:
        line += f"; run {tqdm.format_interval(place.since)}"
        line += f", at most {place.minutes:g} min for this test" if place.minutes else ""
    return line
