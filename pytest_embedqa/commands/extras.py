"""The extras of this package, and which of them are installed, according to the package's own metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from packaging.requirements import Requirement

OURS = "pytest-embedqa"


def missing(extra: str | None) -> list[str]:
    """Return what an extra still lacks; the extra itself if the installed metadata does not know its name."""
    lacking, known = [], False
    for text in requires(OURS) or () if extra else ():
        needed = Requirement(text)
        if needed.marker is None or not needed.marker.evaluate({"extra": str(extra)}):
            continue
        known = True
        try:
            fits = needed.specifier.contains(version(needed.name), prereleases=True)
        except PackageNotFoundError:  # vLLM's build for CPUs is a distribution with another name
            fits = find_spec(needed.name.replace("-", "_")) is not None
        if not fits:
            lacking.append(needed.name)
    return lacking if known or not extra else [extra]


def state(extra: str | None) -> str:
    """Return ``ready``, or the command that installs what is missing; ``None`` stands for no extra."""
    lacking = missing(extra)
    if not lacking:
        return "ready"
    return install(extra) + (f"  (lacks {', '.join(lacking)})" if lacking != [extra] else "")


def install(extra: str | None) -> str:
    """Return the command that installs an extra."""
    return f'pip install "{OURS}[{extra}]"'
