"""Checks of a baseline's two files: read as JSON, unpacked within a limit, checked against ``baseline.schema.json``.

The files are in version control, where anybody may change them. Each function raises ``ValueError`` with the fault.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError

READABLE, EVIDENCE = "readable", "evidence"
# Limits on unpacked evidence: a multiple of the packed size, and a size that always passes. gzip makes evidence about
# three times smaller, and a thousand times where a value repeats.
_MOST_TIMES, _ALWAYS = 20, 64 << 20
# Digits of an integer that fits into 64 bits, with its sign.
_DIGITS = 19
# Characters shown of a value that should be something else.
_SHOWN = 60
_IN_WORDS = {"string": "a text", "object": "an object", "array": "a list", "integer": "a whole number"}


def parsed(content: bytes) -> Any:  # whatever JSON holds
    """Parse JSON as strictly as its standard: Python's reader takes NaN and infinity, too."""
    try:
        return json.loads(content.decode(), parse_constant=_number, parse_float=_number, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON ({error}); it was cut short, or a merge left marks in it") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text}, which is not a finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"it holds a whole number of {len(text):,} digits")
    return int(text)


def beside(path: Path, name: str) -> Path:
    """Return the path of the evidence that a baseline names: a file in its own folder, which no link leads out of."""
    if name in {"", ".", ".."} or set(name) & set('/\\:"\0'):
        raise ValueError(f"its evidence must be the name of a file beside it, and is {name!r:.{_SHOWN}}")
    file = path.parent / name
    if file.is_symlink() and file.resolve().parent not in {path.parent.resolve(), path.resolve().parent}:
        raise ValueError(f"its evidence {name} leads out of its folder; put the file itself there")
    if not file.is_file():
        raise ValueError(f"its evidence {file} is missing. Both files belong together in version control")
    return file


def unpacked(packed: bytes, digest: str) -> bytes:
    """Unpack gzip up to a limit, so that a small file can't fill the memory.

    Args:
        packed: Evidence as it is stored.
        digest: SHA-256 (hex) of the evidence, as the baseline has it.
    """
    if sha256(packed).hexdigest() != digest:
        raise ValueError("it is not the file that was written with it (cut short, changed, or of another run)")
    most = max(_ALWAYS, _MOST_TIMES * len(packed))
    try:
        with gzip.open(io.BytesIO(packed)) as file:
            found = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it is not a complete gzip file ({error})") from None
    if len(found) > most:
        raise ValueError(f"it has more than {most >> 20:,} MB once unpacked, as no evidence of its size has")
    return found


def require_form(facts: Any, what: str) -> None:  # whatever JSON holds
    """Reject facts that this version could not have written.

    Args:
        facts: Facts read from a file.
        what: Kind of the file: ``READABLE`` or ``EVIDENCE``.
    """
    from jsonschema import Draft202012Validator  # a baseline is read in few runs
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator({**_schema(), "$ref": f"#/$defs/{what}"}).iter_errors(facts))
    if error:
        raise ValueError(_in_words(error))


def require_consistent(part: Mapping[str, Any], statistic: str) -> None:
    """Reject units without a value for each id, or without labels that the statistic needs; no schema can say so."""
    ids, name = part["ids"], f"{part['split']}/{part['subset']}"
    if not ids:
        raise ValueError(f"its evidence of {name} has no units")
    if len(set(ids)) < len(ids):
        raise ValueError(f"its evidence of {name} has a unit twice")
    labels = part["labels"] if part["labels"] is not None or statistic == "mean" else []
    for what, given in (("values", part["values"]), ("texts", part["texts"]), ("labels", labels)):
        if given is not None and len(given) != len(ids):
            raise ValueError(f"its evidence of {name} has {len(ids):,} units and {len(given):,} {what}")


def require_rectangle(rows: Sequence[Sequence[float]]) -> None:
    """Reject vectors of different dimensions."""
    if len(lengths := {len(row) for row in rows}) > 1:
        raise ValueError(f"its fingerprint has vectors of {' and '.join(map(str, sorted(lengths)))} dimensions")


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(Path(__file__).with_name("baseline.schema.json").read_text(encoding="utf-8"))
    return schema


def _in_words(error: ValidationError) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".") or "it"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{where} has no '{missing}'"
    given = json.dumps(error.instance, ensure_ascii=True)
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    if error.validator == "type":
        kinds = error.validator_value
        wanted = " or ".join(_IN_WORDS.get(one, f"a {one}") for one in ([kinds] if isinstance(kinds, str) else kinds))
        return f"{where} is {given}, but must be {wanted.replace('a null', 'null')}"
    least = "have something in it" if error.validator == "minItems" else f"be {error.validator_value} or more"
    return f"{where} is {given}, but must {least}"
