"""Progress of long encodings: a bar in a terminal, a line now and then in a log, nothing under ``-q``."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_embedqa.core.showing import shown

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.encoders.encoder import Progress

# Fewer texts than this are encoded before a bar could be read.
_WORTH_A_BAR = 256
# Where no bar can be drawn (CI logs, xdist workers), a line now and then.
_SECONDS_BETWEEN_LINES = 30.0


@dataclass
class Place:
    """Where in a run we are.

    Attributes:
        number: Number of the test, from 1; 0 before the first.
        of: Tests of embedding quality in this run.
        name: Name of the test.
        minutes: What its evaluation may take, if that is limited.
        before: Texts that it has encoded in calls before: large corpora come in blocks.
    """

    of: int
    number: int = 0
    name: str = ""
    minutes: float | None = None
    before: int = 0
    _began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """For instance ``test 3 of 12, test_arguments``."""
        before = f", after {self.before:,}" if self.before else ""
        return f"test {self.number} of {self.of}, {self.name:.32}{before}"

    @property
    def since(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began


def progress_of(config: pytest.Config, place: Place | None) -> Progress:
    """Progress for an encoder that gets through pytest's capture."""
    capture = config.pluginmanager.getplugin("capturemanager")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "") if hasattr(config, "workerinput") else ""
    quiet = getattr(config.option, "verbose", -1) < 0  # there is none without pytest's terminal

    @contextlib.contextmanager
    def uncaptured() -> Iterator[None]:
        redirected = sys.stderr
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            yield
        sys.stderr = redirected  # pytest's own capture stands there now, whatever stood there before

    @contextlib.contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
        if quiet or total < _WORTH_A_BAR:
            yield lambda done: None  # noqa: ARG005
            return
        from tqdm import tqdm  # noqa: PLC0415

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


def progress_line(done: int, total: int, seconds: float, place: Place | None) -> str:
    """How far an encoding is, how fast, how long it will still take, and how long the run has taken."""
    from tqdm import tqdm  # noqa: PLC0415

    rate = done / seconds if seconds else 0.0
    left = tqdm.format_interval((total - done) / rate) if rate else "?"
    line = f"{done:,} of {total:,} texts ({done / total:.0%}), {rate:,.1f} texts/s, {left} left"
    if place and place.number:
        line += f"; run {tqdm.format_interval(place.since)}"
        line += f", at most {place.minutes:g} min for this test" if place.minutes else ""
    return line
