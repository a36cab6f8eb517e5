"""Digests of model and data files, which depend on the content of a path, not on its name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

_CONTENT_ADDRESSED = re.compile(r"[0-9a-f]{64}")
# These files do not affect vectors.
_DOCUMENTATION = {".md", ".png", ".jpg", ".gif"}
_IGNORED_FOLDERS = {"onnx", "openvino", "coreml"}


def file_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file; a symbolic link into a Hub cache already has it in its name."""
    blob = path.resolve()
    if path.is_symlink() and blob.parent.name == "blobs" and _CONTENT_ADDRESSED.fullmatch(blob.name):
        return blob.name
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_digest(folder: Path, *, of_data: bool = False) -> str:
    """Return the SHA-256 (hex) over names and contents of a folder's files.

    Hidden files are left out; of a model also documentation, and files for other engines. A dataset's README declares
    its files, and its folders may have any name.
    Links are followed, also to folders: the files they point to count as part of the folder.
    """
    digest = hashlib.sha256()
    for path in files_below(folder):
        relative = path.relative_to(folder)
        if not of_data and (relative.parts[0] in _IGNORED_FOLDERS or path.suffix in _DOCUMENTATION):
            continue
        digest.update(f"{relative.as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield all files that are not hidden, in order of their paths; a link to a folder above itself is not followed."""
    real = folder.resolve()
    if real in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from files_below(path, (*above, real))
        elif path.is_file():
            yield path
