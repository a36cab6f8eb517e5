"""Removal of secrets from test reports: exceptions, captured output, and the locals that ``pytest -l`` shows."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest

from pytest_embedqa.core.secrets import redacted
from pytest_embedqa.encoders.credentials import hide_environment
from pytest_embedqa.reports.printing import rewritten

# Loggers of the HTTP clients: they log addresses with their queries, which pytest can print at once.
_LOGGERS = ("httpx", "httpx2", "openai._base_client")


class Redacting:
    """A plugin that removes secrets from a report when it is made; all that is printed or sent on comes from it."""

    def __init__(self) -> None:
        """Read the secrets from the environment."""
        hide_environment()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_redact)

    @staticmethod
    def pytest_unconfigure() -> None:
        """Remove the filters from the loggers."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(_redact)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Remove secrets from the report of each step of a test."""
        report = yield
        for part in ("longrepr", "sections", "user_properties"):
            setattr(report, part, rewritten(getattr(report, part), redacted))
        return report


def _redact(record: logging.LogRecord) -> bool:
    record.msg, record.args = redacted(record.getMessage()), ()
    return True
