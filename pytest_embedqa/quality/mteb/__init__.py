"""The only importers of mteb: its registry, its evaluation, its prompts.

Seconds to import, so nothing outside imports this before a task is to be checked or evaluated.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.encoders.memory import importing


@contextlib.contextmanager
def _folder_for_results() -> Iterator[None]:
    """Let mteb be imported where the home can't be written: it makes a folder for results then, which nothing here uses.

    Raises:
        DataError: If it is told where, and can't make it there.
    """
    given = os.environ.get("MTEB_CACHE")
    try:
        (Path(given) if given else Path.home() / ".cache" / "mteb").mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        if given:
            raise DataError(f"MTEB_CACHE: {error}. Name a folder that can be written, or unset it.") from None
    else:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MTEB_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["MTEB_CACHE"]


with _folder_for_results(), importing("mteb"):
    import mteb  # noqa: F401
