"""A YAML file with the lines of all that is in it. What can't be read is one error that names its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.validation import place

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

# With which no text begins in YAML, unless it is in quotes.
_SIGNS = frozenset("*&@%`")
# What stands before a value, and a value without quotes or brackets that has a colon and a blank in it.
_VALUES = re.compile(r"(?:[:,\[{]|^\s*-|-)\s+|[\[{]")
_COLON = re.compile(r"\s*(?:- )?[^\s:{\[\"'][^:{\[\"']*:\s+[^\s{\[\"'|>].*:(?:\s|$)")


def read_yaml(path: Path) -> Any:  # noqa: ANN401  whatever YAML holds
    """Read a file.

    It is YAML 1.2: ``no`` is a text, and so is a date, whether there is such a day or not. A key that stands twice in
    a mapping is an error.

    Raises:
        DataError: If it can't be read, with file and line.
        MissingExtraError: If a package is not installed.
    """
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415
        from ruamel.yaml.reader import ReaderError  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("ruamel.yaml", "rag", path.name) from None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{place(path, line)}: not UTF-8: {error}. Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{place(path, 1)}: can't be read: {error.strerror}.") from None
    yaml = YAML()
    yaml.Constructor = _constructor()
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        raise DataError(_in_words(error, path, text.splitlines())) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise DataError(
            f"{place(path, line)}: no valid YAML: the control character U+{error.character:04X}, which YAML does not allow. Delete it."
        ) from None
    except RecursionError:
        raise DataError(f"{place(path, 1)}: no valid YAML: it is nested too deep.") from None
    except YAMLError as error:
        raise DataError(f"{place(path, 1)}: no valid YAML: {error}") from None


def _in_words(error: MarkedYAMLError, path: Path, lines: Sequence[str]) -> str:
    """What can't be read, where, and which of the mistakes that everybody makes it most likely is."""
    mark, problem = error.problem_mark or error.context_mark, str(error.problem)
    if "end of stream" in problem and error.context_mark:
        mark, problem = error.context_mark, "what begins here, a quote or a bracket, is not closed"
    if "expected ':'" in problem and error.context_mark:
        mark, problem = error.context_mark, "a key without a colon behind it"
    line = mark.line if mark else 0
    hint = _hint(problem, "".join(lines[line : line + 1]))
    return f"{place(path, line + 1)}: no valid YAML: {problem}{f'. {hint}' if hint else ''}"


def _hint(problem: str, line: str) -> str:
    """What to do about an error in a line; empty if it is none of the common mistakes."""
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


@cache
def _constructor() -> type:
    from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    class Constructor(RoundTripConstructor):
        """That of ruamel.yaml, but whatever a value makes it raise has the line of the value."""

        def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT002  as the base class
            try:
                return super().construct_object(node, deep=deep)
            except (YAMLError, RecursionError):
                raise
            except Exception as error:  # noqa: BLE001  a tag can ask for any conversion
                problem = f"{node.value!r:.60} is not what its form or tag says: {error}"
                raise ConstructorError(None, None, problem, node.start_mark) from None

    # A date is a text in YAML 1.2, but not to ruamel.yaml, which raises ValueError for 2025-02-30.
    Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)
    return Constructor
