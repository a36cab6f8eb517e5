"""Making of the documents that no repository should hold, before the probes about them are collected."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@cache
def _build(script):
    spec = importlib.util.spec_from_file_location(script, HERE / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build()


def pytest_collect_file(file_path):
    """Build PDF and Word files from texts beside the suite: both the texts and their builders can be read in a diff."""
    if not file_path.name.endswith(".probe.yaml"):
        return
    try:
        for script in ("make_white_paper", "make_formats"):
            _build(script)
    except ImportError as error:
        raise pytest.UsageError(f"The documents of suites/rag need {error.name}:  pip install --group dev") from None
