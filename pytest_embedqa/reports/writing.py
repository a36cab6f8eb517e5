"""Writing the reports of a run that were asked for."""

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
        settings: Where to.
        run: What came out.
        say: Is told what was written, and what could not be.

    Returns:
        Whether all could be written.
    """
    done = True
    # The page takes seconds to draw: whoever has interrupted the run may not wait for it.
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
    """Add to the summary of a CI job, where there is one; that it can't be written is no reason for a run to fail."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from pytest_embedqa.reports.github.summary import summary  # noqa: PLC0415  in CI only

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
    """Wait until no other process writes to a file, where the system knows such locks; closing it lets others write."""
    with suppress(ImportError, OSError):
        import fcntl  # noqa: PLC0415  not on Windows

        fcntl.flock(file, fcntl.LOCK_EX)


def _rendered(run: Run, kind: str) -> str:
    if kind == "json":
        return inert(json.dumps(run.as_dict(), ensure_ascii=False, indent=1, allow_nan=False))
    from pytest_embedqa.reports.html import render  # noqa: PLC0415  loads the plots' library

    return render(run)
