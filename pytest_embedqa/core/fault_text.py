"""Text for faults of the plugin itself: what failed, and where to report it."""

from __future__ import annotations

import traceback
from importlib import metadata

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.showing import shown


def told(error: BaseException, where: str) -> str:
    """Describe a fault for people: what it is, where to report it, and the traceback that belongs in the report."""
    lines = traceback.format_exception(error)
    return shown(
        f"pytest-embedqa itself failed in {where}: {type(error).__name__}: {error}\n"
        f"This is not a fault of a model or a test. Please report it{_place()}, with these lines:\n"
        + "".join(lines).rstrip()
    )


def in_words(error: BaseException, where: str) -> str:
    """Describe whatever a part of the plugin raised: an error of this package as it is, anything else as a fault."""
    return shown(str(error)) if isinstance(error, EmbedQAError) else told(error, where)


def _place() -> str:
    """Return where faults are reported, according to the metadata of the package."""
    try:
        urls = metadata.metadata("pytest-embedqa").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        urls = []
    known = dict(url.split(", ", 1) for url in urls)
    return f" at {known['Issues']}" if "Issues" in known else " to those who gave you the plugin"
