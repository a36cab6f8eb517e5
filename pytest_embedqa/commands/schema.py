"""Print the JSON Schema of ``*.probe.yaml`` files: editors that know it complete and check them."""

from __future__ import annotations

import argparse

from pytest_embedqa.commands import GOOD
from pytest_embedqa.rag.validation import SCHEMA

HELP = "JSON Schema of *.probe.yaml files, for editors"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: the command has none."""


def run(given: argparse.Namespace) -> int:  # noqa: ARG001  no arguments
    """Print the schema."""
    print(SCHEMA.read_text(encoding="utf-8"), end="")  # noqa: T201  what the command is for
    return GOOD
