"""A YAML file with the line of everything in it. Unreadable content is one error that names its line."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.validation import all_wrong, place
from pytest_embedqa.rag.yaml_values import composer, constructor

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

# A file of thousands of probes has a tenth of this size. Reading it takes seconds.
MOST_BYTES = 2_000_000
# Signs with which no YAML text begins unless it is quoted.
_SIGNS = frozenset("*&@%`")
# Text before a value; or a value without quotes or brackets that contains a colon and a blank.
_VALUES = re.compile(r"(?:[:,\[{]|^\s*-|-)\s+|[\[{]")
_COLON = re.compile(r"\s*(?:- )?[^\s:{\[\"'][^:{\[\"']*:\s+[^\s{\[\"'|>].*:(?:\s|$)")
# A longer line is not shown, and these patterns would take long.
_LONGEST_LINE = 1000


def read_yaml(path: Path) -> Any:  # whatever YAML holds
    """Read a file.

    It is YAML 1.2: ``no`` is a text, and so is a date, whether that day exists or not. A key that stands twice in a
    mapping is an error, as is content that is nested deep or multiplied by aliases.

    Raises:
        DataError: If it can't be read, with file and line.
        MissingExtraError: If a package is not installed.
    """
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.reader import ReaderError
    except ImportError:
        raise MissingExtraError("ruamel.yaml", "rag", path.name) from None
    text = _text(path)
    yaml = YAML()
    yaml.Composer, yaml.Constructor = composer(), constructor()
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        raise all_wrong(path, [_in_words(error, text.splitlines())]) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        hint = "Delete it." if error.character else "Is the file UTF-16? Save it as UTF-8."
        raise DataError(
            f"{place(path, line)}: not valid YAML: the control character U+{error.character:04X}, which YAML does not allow. {hint}"
        ) from None
    except ValueError as error:
        line = yaml.reader.line + 1
        raise DataError(f"{place(path, line)}: not valid YAML: an escape that is not a character: {error}.") from None
    except YAMLError as error:
        raise DataError(f"{place(path, yaml.reader.line + 1)}: not valid YAML: {error}") from None


def _text(path: Path) -> str:
    """Return the text of a file; refuse pipes and devices, which may never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{place(path, 1)}: can't be read: it is a folder, a pipe or a device, and no file.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        hint = f" It is a link to {path.readlink()}." if path.is_symlink() else ""
        raise DataError(f"{place(path, 1)}: can't be read: {error.strerror}.{hint}") from None
    if len(data) > MOST_BYTES:
        raise DataError(f"{place(path, 1)}: larger than {MOST_BYTES / 1e6:g} MB. Split it into several files.")
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{place(path, line)}: not UTF-8: {error}. Save it as UTF-8.") from None


def _in_words(error: MarkedYAMLError, lines: Sequence[str]) -> tuple[int, str]:
    """Return the line, the fault, and the common mistake that it most likely is."""
    mark, problem = error.problem_mark or error.context_mark, str(error.problem)
    if "end of stream" in problem and error.context_mark:
        mark, problem = error.context_mark, "what begins here, a quote or a bracket, is not closed"
    if "expected ':'" in problem and error.context_mark:
        mark, problem = error.context_mark, "a key without a colon behind it"
    if "another document" in problem:
        problem = "a second YAML document begins here, and a file holds one. Delete its '---', or give each a file of its own."
    line = mark.line if mark else 0
    # A problem that ends as a sentence already says what to do.
    hint = "" if problem.endswith(".") else _hint(problem, "".join(lines[line : line + 1])[:_LONGEST_LINE])
    return line + 1, f"not valid YAML: {problem}{f'. {hint}' if hint else ''}"


def _hint(problem: str, line: str) -> str:
    """Suggest a remedy for an error in a line; empty if it is no common mistake."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "A tab can't indent in YAML: use blanks."
    for value in _VALUES.split(line):
        if value[:1] in _SIGNS:
            return f"A text that begins with {value[0]} needs quotes: '{value.rstrip(' ,]}')}'."
    if "got ':'" in problem or _COLON.match(line):
        return "A text that has a colon and a blank in it needs quotes: 'like: this'."
    if "found '<scalar>'" in problem and "'" in line:
        return "A quote inside of the same quotes is written twice: 'it''s'."
    if "mapping" in problem:
        return "Keys of one mapping begin in the same column: look at how this line and the one before it are indented."
    return ""
