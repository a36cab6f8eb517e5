"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add ``--datasets``, as ``--embedqa-datasets`` of pytest."""
    parser.add_argument(
        "--datasets",
        type=path,
        metavar="DIR",
        default=os.environ.get("EMBEDQA_DATASETS") or None,
        help="folder with data in the Hub's layout (environment: EMBEDQA_DATASETS); without it the Hub's cache counts",
    )


def path(text: str) -> Path:
    """A path, as the type of an argument; of an empty one Python would make the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("its value is empty. Is the variable that it comes from unset?")
    try:
        given = Path(text).expanduser()
        given.exists()  # raises for a name that is too long, or holds what none can hold
    except (OSError, RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is no path that can be used: {error}") from None
    return given


def count(text: str) -> int:
    """A whole number from 0 up, as the type of an argument."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text:.40}: a whole number from 0 up is expected")
    return int(text)


def share(text: str) -> float:
    """A number from 0 up to 1, as the type of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text:.40}: a number from 0 up to 1 is expected, e.g. 0.01")
    return number
