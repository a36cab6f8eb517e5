"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add ``--datasets``, as ``--embedqa-datasets`` of pytest."""
    parser.add_argument(
        "--datasets",
        type=Path,
        metavar="DIR",
        default=os.environ.get("EMBEDQA_DATASETS") or None,
        help="folder with data in the Hub's layout (environment: EMBEDQA_DATASETS); without it the Hub's cache counts",
    )


def share(text: str) -> float:
    """A number from 0 up to 1, as the type of an argument."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number from 0 up to 1 is expected, e.g. 0.01")
    return number
