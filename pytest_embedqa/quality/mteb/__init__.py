"""The only importers of mteb: its registry, its evaluation, its prompts.

Seconds to import, so nothing outside imports this before a task is to be checked or evaluated.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_embedqa.core.errors import DataError


@contextlib.contextmanager
def _folder_for_results() -> Iterator[None]:
    """Let mteb be imported where there is no home, or it can't be written.

    It asks for the home then, and makes a folder for results, which nothing here uses.

    Raises:
        DataError: If it is told where, and can't make it there.
    """
    given = os.environ.get("MTEB_CACHE")
    lacking = []
    try:
        folder = Path.home() / ".cache" / "mteb"
    except RuntimeError:  # the user has no home
        lacking.append("HOME")
    try:
        if given or not lacking:
            Path(given or folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if given:
            raise DataError(f"MTEB_CACHE: {error}. Name a folder that can be written, or unset it.") from None
        lacking.append("MTEB_CACHE")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.update(dict.fromkeys(lacking, temporary))
        try:
            yield
        finally:
            for name in lacking:
                del os.environ[name]


with _folder_for_results():
    import mteb  # noqa: F401
