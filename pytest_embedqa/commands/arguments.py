"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from pytest_embedqa.core import arguments as core


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add ``--datasets``, the equivalent of pytest's ``--embedqa-datasets``."""
    parser.add_argument(
        "--datasets",
        type=path,
        metavar="DIR",
        default=os.environ.get("EMBEDQA_DATASETS") or None,
        help="folder with data in the Hub's layout (environment: EMBEDQA_DATASETS); without it the Hub's cache counts",
    )


def path(text: str) -> Path:
    """Parse a path, as an argument's type; refuse an empty text, which Python would read as the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("its value is empty. Is the variable that it comes from unset?")
    try:
        given = Path(text).expanduser()
        given.exists()  # raises for a name that is too long or has characters that no name may have
    except (OSError, RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r:.80} can't be used as a path: {error}") from None
    return given


def count(text: str) -> int:
    """Parse a whole number from 0 up, as an argument's type."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text:.40}: a whole number from 0 up is expected")
    return int(text)


def share(text: str) -> float:
    """Parse a number from 0 up to 1, as an argument's type."""
    try:
        return core.share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text:.40}: {error}") from None
