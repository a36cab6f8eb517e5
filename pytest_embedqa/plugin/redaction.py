"""Reports of tests without secrets: what a library raised, what a test printed, and the locals that ``pytest -l`` shows."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any

import pytest

from pytest_embedqa.core.secrets import redacted
from pytest_embedqa.encoders.credentials import hide_environment

# Of the HTTP clients: they log addresses with their queries, which pytest can print as they come.
_LOGGERS = ("httpx", "httpx2", "openai._base_client")


class Redacting:
    """A plugin that takes secrets out of a report where it is made: all that is printed, written or sent on comes of it."""

    def __init__(self) -> None:
        """Learn the secrets of the environment."""
        hide_environment()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_redact)

    @staticmethod
    def pytest_unconfigure() -> None:
        """Leave loggers as they were."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(_redact)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Do so for each step of a test."""
        report = yield
        for part in ("longrepr", "sections", "user_properties"):
            setattr(report, part, _without_secrets(getattr(report, part)))
        return report


def _redact(record: logging.LogRecord) -> bool:
    record.msg, record.args = redacted(record.getMessage()), ()
    return True


def _without_secrets(part: Any) -> Any:  # noqa: ANN401  a report holds texts in lists, tuples and objects of pytest's
    if isinstance(part, str):
        return redacted(part)
    if type(part) in {list, tuple}:
        return type(part)(map(_without_secrets, part))
    if type(part).__module__.startswith("_pytest."):
        for name, value in vars(part).items():
            setattr(part, name, _without_secrets(value))
    return part
