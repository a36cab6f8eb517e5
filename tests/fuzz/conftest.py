"""Runs a property for as long as it is given: ``make fuzz`` for a minute, ``make fuzz FUZZ_SECONDS=3600`` by hand.

Without FUZZ_SECONDS each property is tried on one round of inputs, the same each time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

sys.path.insert(0, str(Path(__file__).parent))

from pytest_embedqa.core.errors import EmbedQAError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
# Inputs of a round, which has a seed of its own; and seconds after which one of them hangs.
ROUND = 50
HANGS = 30


class HangsError(Exception):
    """An input that takes too long."""


def pytest_collection_modifyitems(items):
    """Each may take the time that it is given."""
    for item in items if SECONDS else []:
        if "fuzz" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.fixture
def fuzz(request):
    """Tries a property on inputs of some strategies; a failure says with which seed it comes again."""
    share = SECONDS / sum("fuzz" in getattr(item, "fixturenames", ()) for item in request.session.items)
    tried = 0

    def counted(check):
        def checked(**values):
            nonlocal tried
            tried += 1
            signal.alarm(HANGS)
            try:
                check(**values)
            finally:
                signal.alarm(0)

        return checked

    def hang(_number, _frame):
        raise HangsError(f"more than {HANGS} seconds for one input")

    def run(check, **strategies):
        former = signal.signal(signal.SIGALRM, hang)
        began, number = time.monotonic(), SEED
        quiet = settings(
            max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
        )
        try:
            while True:
                print(f"again with FUZZ_SEED={number}, {tried:,} inputs tried before")  # noqa: T201  shown on failure
                seed(number)(quiet(given(**strategies)(counted(check))))()
                number += 1
                if time.monotonic() - began >= share:
                    break
        finally:
            signal.signal(signal.SIGALRM, former)
        request.node.user_properties.append(("inputs", tried))

    return run


def pytest_terminal_summary(terminalreporter):
    """How many inputs each property was tried on."""
    for report in terminalreporter.stats.get("passed", []) if SECONDS else []:
        for inputs in [value for name, value in report.user_properties if name == "inputs"]:
            terminalreporter.write_line(f"{inputs:9,} inputs  {report.nodeid}")


@pytest.fixture
def result_of():
    """What a call gives; ``None`` after an error of ours, which must say something."""

    def call(function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (EmbedQAError, pytest.UsageError) as error:
            assert str(error).strip()  # noqa: PT017  most inputs give no error
            return None

    return call
