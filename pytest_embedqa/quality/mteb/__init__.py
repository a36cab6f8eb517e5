"""Access to mteb (its registry, its evaluation, its prompts): no other module of the package imports it.

It takes seconds to import, so nothing imports this package before a task is to be checked or evaluated.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_embedqa.core.errors import DataError


@contextlib.contextmanager
def _folder_for_results() -> Iterator[None]:
    """Let mteb be imported inside this context without a home, or with a home that can't be written.

    On import mteb asks for the home, and makes a folder for results, which this package does not use.

    Raises:
        DataError: If mteb is told where to make the folder, and can't.
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
