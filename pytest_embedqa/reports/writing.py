"""The writing of the reports that a run was asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_embedqa.core.fault_text import in_words
from pytest_embedqa.core.showing import inert

if TYPE_CHECKING:
    from pytest_embedqa.reports.run import Run
    from pytest_embedqa.settings import Settings


def write_reports(settings: Settings, run: Run, say: Callable[[str], object]) -> bool:
    """Write ``--embedqa-html`` and ``--embedqa-json``.

    Args:
        settings: Settings with the files to write.
        run: The run to report.
        say: Called with each file that was written, and each that could not be.

    Returns:
        Whether every file could be written.
    """
    done = True
    # The page takes seconds to draw: a user who interrupts the run may not wait for it.
    for path, kind in ((settings.json, "json"), (settings.html, "html")):
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_rendered(run, kind), encoding="utf-8", errors="backslashreplace")
            say(f"wrote {path}")
        except OSError as error:
            say(f"{path} could not be written: {error.strerror}. --embedqa-{kind}=PATH names another place.")
            done = False
        except Exception as error:  # noqa: BLE001  the other report is written all the same
            say(f"{path} could not be written: {in_words(error, f'the report {kind}')}")
            done = False
    return done


def add_to_summary(run: Run, say: Callable[[str], object]) -> None:
    """Add a run to the summary of a CI job, if there is one; a failure to write it does not fail the run."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from pytest_embedqa.reports.github.summary import summary  # in CI only

    try:
        with Path(path).open("a", encoding="utf-8") as file:
            _lock(file)  # several runs of a step may end at once
            text = summary(run, os.fstat(file.fileno()).st_size)
            file.write(text)
        if not text:
            say(f"the summary of this job has no room for this run: GitHub takes 1 MiB a step, and {path} is full")
    except OSError as error:
        say(f"the summary of this job could not be written: {path}: {error.strerror} (GITHUB_STEP_SUMMARY)")


def _lock(file: IO[str]) -> None:
    """Lock a file against other processes, where the system has such locks; closing the file releases it."""
    with suppress(ImportError, OSError):
        import fcntl  # not on Windows

        fcntl.flock(file, fcntl.LOCK_EX)


def _rendered(run: Run, kind: str) -> str:
    if kind == "json":
        return inert(json.dumps(run.as_dict(), ensure_ascii=False, indent=1, allow_nan=False))
    from pytest_embedqa.reports.html import render  # loads the plots' library

    return render(run)
